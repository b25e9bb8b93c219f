import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import { freePermit } from "@breakwater/core/Gate"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Telemetry from "@breakwater/core/Telemetry"
import { ConnectFailed } from "@breakwater/core/VendorError"
import { assert, describe, it, vi } from "@effect/vitest"
import { type Cause, Duration, Effect, Fiber, Metric, Redacted, Schema, type Scope, Tracer } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import * as FakeTransport from "../../../fakes/Transport.ts"
import * as MemoryTracer from "../../../watches/MemoryTracer.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items").add(
    HttpApiEndpoint.get("find", "/items/:id", {
      params: { id: Schema.String },
      query: { tag: Schema.optionalKey(Schema.String) },
      headers: { "x-tenant": Schema.optionalKey(Schema.String) },
      success: Schema.Struct({ name: Schema.String }),
      error: Schema.Struct({ missing: Schema.String }).pipe(HttpApiSchema.status(404))
    }),
    HttpApiEndpoint.post("order", "/orders", { success: HttpApiSchema.NoContent })
      .annotate(Operation.Safety, "Unsafe")
      // This operation has its own breaker, and a slow call lasts until the attempt's timeout.
      .annotate(Operation.Policy, { attemptTimeout: "8 seconds", deadline: "20 seconds" })
  )
)

const make = (policy: Policy.Policy = {}, changes: Partial<Parameters<typeof Vendor.make<typeof Api>>[0]> = {}) =>
  Vendor.make({
    name: "acme",
    api: Api,
    baseUrl: "https://api.acme.example:8443/v1",
    policy: { retry: { base: 0 }, ...policy },
    ...changes
  })

const anvil = { status: 200, json: { name: "anvil" } }

const find = (client: Effect.Success<ReturnType<typeof make>>) =>
  client.items.find({ params: { id: "anvil" }, query: {}, headers: {} })

/** Runs effects to their end on virtual time. */
const elapse = <A, E, R>(effect: Effect.Effect<A, E, R>, duration: Duration.Input = "1 minute") =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust(duration)
    return yield* Fiber.join(fiber)
  })

const freshRegistry = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

describe("the spans of a call", () => {
  const traced = (effect: (tracer: MemoryTracer.MemoryTracer) => Effect.Effect<void, unknown, Scope.Scope>) => {
    const tracer = MemoryTracer.make()
    return effect(tracer).pipe(Effect.provide(tracer.layer))
  }

  const common = {
    "http.request.method": "GET",
    "url.scheme": "https",
    "url.template": "/items/:id",
    "server.address": "api.acme.example",
    "server.port": 8443,
    "breakwater.vendor": "acme",
    "breakwater.operation": "items.find"
  }

  /** A span as an exporter receives it. Times are milliseconds since the start of the test. */
  const seen = ({ attributes, kind, name, parent, status }: Tracer.NativeSpan) => ({
    name,
    kind,
    parent: parent._tag === "Some" && parent.value._tag === "Span" ? parent.value.name : undefined,
    attributes: Object.fromEntries(attributes),
    from: Number(status.startTime) / 1e6,
    to: status._tag === "Ended" ? Number(status.endTime) / 1e6 : undefined,
    exit: status._tag === "Ended" ? status.exit._tag : undefined
  })

  it.effect("are one for the operation and one per attempt, with the attributes of OpenTelemetry", () =>
    traced(({ spans }) =>
      Effect.gen(function*() {
        const client = yield* make({ retry: { base: 0 } })
        yield* elapse(find(client).pipe(Effect.withSpan("checkout")))
        assert.deepStrictEqual(spans.map(seen), [
          { name: "checkout", kind: "internal", parent: undefined, attributes: {}, from: 0, to: 700, exit: "Success" },
          {
            name: "acme items.find",
            kind: "internal",
            parent: "checkout",
            attributes: {
              "breakwater.vendor": "acme",
              "breakwater.operation": "items.find",
              "breakwater.outcome": "success",
              "breakwater.attempts": 3
            },
            from: 0,
            to: 700,
            exit: "Success"
          },
          {
            name: "GET /items/:id",
            kind: "client",
            parent: "acme items.find",
            attributes: { ...common, "http.response.status_code": 503, "error.type": "503" },
            from: 0,
            to: 100,
            exit: "Failure"
          },
          {
            name: "GET /items/:id",
            kind: "client",
            parent: "acme items.find",
            attributes: { ...common, "http.request.resend_count": 1, "error.type": "ConnectFailed" },
            from: 100,
            to: 300,
            exit: "Failure"
          },
          {
            name: "GET /items/:id",
            kind: "client",
            parent: "acme items.find",
            attributes: { ...common, "http.request.resend_count": 2, "http.response.status_code": 200 },
            from: 300,
            to: 700,
            exit: "Success"
          }
        ])
        assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)
      }).pipe(
        Effect.provide(FakeTransport.layer((_, index) =>
          [
            { after: 100, status: 503 },
            { after: 200, reason: new ConnectFailed("Refused") },
            { after: 400, ...anvil }
          ][index]
        )),
        freshRegistry
      )
    ))

  it.effect.each<
    readonly [string, FakeTransport.Play | undefined, error: string, status: number | undefined, outcome: string]
  >([
    ["a declared error", { status: 404, json: { missing: "anvil" } }, "404", 404, "declared"],
    ["a refusal", { status: 401 }, "401", 401, "Unauthorized"],
    ["an answer that does not fit", { status: 200, json: {} }, "InvalidResponse", 200, "InvalidResponse"],
    ["a redirect", { status: 302 }, "InvalidResponse", 302, "InvalidResponse"],
    [
      "a failed connection",
      { reason: new ConnectFailed("Tls") },
      "ConnectFailed",
      undefined,
      "ConnectFailed"
    ],
    ["no answer at all", undefined, "Timeout", undefined, "Timeout"]
  ])("record the failure of %s", ([, play, error, status, outcome]) =>
    traced(({ spans }) =>
      Effect.gen(function*() {
        const client = yield* make({ retry: false })
        yield* elapse(Effect.exit(find(client)))
        const [operation, attempt] = spans.map(seen)
        assert.strictEqual(spans.length, 2)
        assert.strictEqual(operation!.attributes["breakwater.outcome"], outcome)
        assert.strictEqual(operation!.attributes["breakwater.attempts"], 1)
        assert.strictEqual(operation!.exit, "Failure")
        assert.strictEqual(attempt!.attributes["error.type"], error)
        assert.strictEqual(attempt!.attributes["http.response.status_code"], status)
        assert.strictEqual(attempt!.exit, "Failure")
      }).pipe(Effect.provide(FakeTransport.layer(() => play)), freshRegistry)
    ))

  it.effect("tell an interrupted caller from a defect", () =>
    traced(({ spans }) =>
      Effect.gen(function*() {
        const client = yield* make()
        const fiber = yield* Effect.forkChild(find(client))
        yield* TestClock.adjust(10)
        yield* Fiber.interrupt(fiber)
        const broken = yield* make({}, {
          classify: () => {
            throw new TypeError("broken")
          }
        })
        yield* elapse(Effect.exit(find(broken)))
        assert.deepStrictEqual(
          spans.map((span) => [span.attributes.get("breakwater.outcome"), span.attributes.get("error.type")]),
          [["interrupted", undefined], [undefined, "interrupted"], ["defect", undefined], [undefined, "defect"]]
        )
      }).pipe(Effect.provide(FakeTransport.layer((_, index) => index === 0 ? undefined : anvil)), freshRegistry)
    ))

  it.effect("do not exist for attempts that our own gates refuse", () =>
    traced(({ spans }) =>
      Effect.gen(function*() {
        const client = yield* make({ rateLimit: { limit: 1, window: "1 hour", queue: 0 } })
        yield* elapse(find(client))
        yield* elapse(Effect.exit(find(client)))
        const [, , refused] = spans.map(seen)
        assert.strictEqual(spans.length, 3)
        assert.strictEqual(refused!.attributes["breakwater.outcome"], "RateLimitExceeded")
        assert.strictEqual(refused!.attributes["breakwater.attempts"], 0)
      }).pipe(Effect.provide(FakeTransport.layer(() => anvil)), freshRegistry)
    ))

  it.effect("are sampled like their parent", () =>
    traced(({ spans }) =>
      Effect.gen(function*() {
        const client = yield* make()
        for (const sampled of [true, false]) {
          const parent = Tracer.externalSpan({ spanId: "span", traceId: "trace", sampled })
          yield* elapse(find(client).pipe(Effect.withParentSpan(parent)))
        }
        assert.deepStrictEqual(spans.map(({ sampled, traceId }) => [sampled, traceId]), [
          [true, "trace"],
          [true, "trace"],
          [false, "trace"],
          [false, "trace"]
        ])
      }).pipe(Effect.provide(FakeTransport.layer(() => anvil)), freshRegistry)
    ))

  it.effect("are not made without a tracer, or when tracing is disabled", () =>
    Effect.gen(function*() {
      const native = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(Tracer.nativeTracer, "span")),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      const tracer = MemoryTracer.make()
      const client = yield* make()
      yield* elapse(find(client))
      yield* elapse(find(client).pipe(Effect.withTracerEnabled(false))).pipe(Effect.provide(tracer.layer))
      assert.strictEqual(native.mock.calls.length, 0)
      assert.deepStrictEqual(tracer.spans, [])
      // The spy works: Effect's own span comes from the native tracer.
      yield* Effect.void.pipe(Effect.withSpan("own"))
      assert.strictEqual(native.mock.calls.length, 1)
    }).pipe(Effect.provide(FakeTransport.layer(() => anvil)), freshRegistry))
})

describe("the metrics of calls", () => {
  it.effect("have exactly the labels of the table", () =>
    Effect.gen(function*() {
      const client = yield* make({
        rateLimit: { limit: 1 },
        throttle: {},
        adaptiveLimit: {},
        bulkhead: {},
        hedge: {},
        cache: { fresh: "1 minute" }
      })
      yield* elapse(client.items.find({ params: { id: "anvil" }, query: {}, headers: {} }, { key: "eu" }), 1)
      const rows = new Map(Object.values(Telemetry.metrics).map((row: Telemetry.Metric) => [row.name, row]))
      const snapshot = yield* Metric.snapshot
      assert.isAbove(new Set(snapshot.map(({ id }) => id)).size, 15)
      for (const { attributes = {}, description, id } of snapshot) {
        const { help, labels } = rows.get(id) ?? assert.fail(`no row for ${id}`)
        assert.strictEqual(description, help)
        // A call without a response has no status, and a success has no kind of error.
        const optional = ["http.response.status_code", "error.type"]
        assert.sameMembers(
          Object.keys(attributes),
          labels.filter((label) => label in attributes || !optional.includes(label)),
          id
        )
      }
    }).pipe(Effect.provide(FakeTransport.layer(() => anvil)), freshRegistry))

  it.effect("count the use of each key, and that of a flood of keys together", () =>
    Effect.gen(function*() {
      const client = yield* make({ rateLimit: { limit: 2, window: "1 hour", queue: 0 } })
      const call = (key: string) =>
        elapse(Effect.exit(client.items.find({ params: { id: "anvil" }, query: {}, headers: {} }, { key })), "1 millis")
      yield* call("")
      for (const key of ["eu", "us", "eu", "eu"]) yield* call(key)
      const counts = Effect.map(Metric.snapshot, (all) =>
        all.flatMap(({ attributes, id, state }) =>
          id === Telemetry.keyOperations
            ? [[attributes?.["key"], attributes?.["outcome"], (state as { count: number }).count]]
            : []
        ))
      const expected = [["eu", "success", 2], ["us", "success", 1], ["eu", "RateLimitExceeded", 1]]
      assert.sameDeepMembers(yield* counts, expected)
      for (let key = 2; key < Telemetry.shownKeys + 50; key++) {
        yield* call(String(key))
      }
      const all = yield* counts
      assert.strictEqual(all.length, 3 + Telemetry.shownKeys - 2 + 1)
      assert.deepStrictEqual(
        all.find(([key]) =>
          key === Telemetry.otherKeys
        ),
        [Telemetry.otherKeys, "success", 50]
      )
    }).pipe(Effect.provide(FakeTransport.layer(() => anvil)), freshRegistry))

  type Labels = Readonly<Record<string, string>>
  type Shown = readonly [labels: Labels, value: number]

  const metrics = Effect.map(Metric.snapshot, (snapshots) => {
    const shown = (name: string): ReadonlyArray<Shown> =>
      snapshots.flatMap((metric): Array<Shown> => {
        if (metric.id !== name) return []
        const labels = metric.attributes ?? {}
        switch (metric.type) {
          case "Counter":
            return [[labels, Number(metric.state.count)]]
          case "Gauge":
            return [[labels, Number(metric.state.value)]]
          case "Histogram":
            return [[labels, metric.state.count]]
          case "Frequency":
          case "Summary":
            return []
        }
      }).toSorted(([a], [b]) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)
    const histogram = (name: string) => {
      const found = snapshots.flatMap((metric) =>
        metric.id === name && metric.type === "Histogram" && metric.state.count > 0 ? [metric.state] : []
      )
      return found[0] ?? assert.fail(`no histogram ${name}`)
    }
    /** Leaves out the series at zero. */
    const counted = (name: string) => shown(name).filter(([, value]) => value !== 0)
    return { all: snapshots, counted, histogram, shown }
  })

  it.effect("show the value of an adaptive limit, and the refusals of a throttle", () =>
    Effect.gen(function*() {
      const admit = () => freePermit
      const only = (n: number) => (key: string) => key === "acme" ? n : Number.NaN
      yield* make({
        adaptiveLimit: {
          name: "learning",
          admit,
          limit: only(7),
          running: only(3),
          waiting: only(2),
          inUse: (vendor) => ({ limit: only(7)(vendor), running: only(3)(vendor), waiting: only(2)(vendor) }),
          size: 1
        },
        throttle: { name: "throttling", admit, probability: only(0.3), worst: only(0.3), size: 1 }
      })
      const { shown } = yield* metrics
      assert.deepStrictEqual(
        [
          Telemetry.adaptiveLimit,
          Telemetry.adaptiveLimitRunning,
          Telemetry.adaptiveLimitWaiting,
          Telemetry.throttleProbability
        ].map(shown),
        [7, 3, 2, 0.3].map((n): ReadonlyArray<Shown> => [[{ vendor: "acme" }, n]])
      )
    }).pipe(Effect.provide(FakeTransport.layer(() => anvil)), freshRegistry))

  const http = {
    "http.request.method": "GET",
    "server.address": "api.acme.example",
    "server.port": "8443",
    vendor: "acme",
    operation: "items.find"
  }
  const own = { vendor: "acme", operation: "items.find" }

  it.effect("count attempts by status and kind of error, operations by outcome, and retries", () =>
    Effect.gen(function*() {
      const client = yield* make({ retry: { retries: 1, base: 0 }, breaker: false, retryBudget: false })
      for (let i = 0; i < 6; i++) yield* elapse(Effect.exit(find(client)))
      const { counted, shown } = yield* metrics
      assert.deepStrictEqual(
        shown(Telemetry.requestDuration),
        [
          [{ "error.type": "ConnectFailed", ...http }, 2],
          [{ "error.type": "Timeout", ...http }, 2],
          [{ "http.response.status_code": "200", ...http }, 1],
          [{ "http.response.status_code": "200", "error.type": "InvalidResponse", ...http }, 1],
          [{ "http.response.status_code": "404", "error.type": "404", ...http }, 1],
          [{ "http.response.status_code": "503", "error.type": "503", ...http }, 3]
        ].map(([labels, count]): Shown => [inOrder(labels as Labels), count as number]).toSorted(byLabels)
      )
      assert.deepStrictEqual(counted(Telemetry.operationDuration), [
        [{ ...own, outcome: "ConnectFailed" }, 1],
        [{ ...own, outcome: "InvalidResponse" }, 1],
        [{ ...own, outcome: "Timeout" }, 1],
        [{ ...own, outcome: "Unavailable" }, 1],
        [{ ...own, outcome: "declared" }, 1],
        [{ ...own, outcome: "success" }, 1]
      ])
      assert.deepStrictEqual(shown(Telemetry.retries), [[own, 4], [{ vendor: "acme", operation: "items.order" }, 0]])
      assert.deepStrictEqual(counted(Telemetry.refusals), [])
    }).pipe(
      Effect.provide(FakeTransport.layer((_, index) =>
        [
          { status: 503 },
          anvil,
          { status: 503 },
          { status: 503 },
          { reason: new ConnectFailed("Refused") },
          { reason: new ConnectFailed("Refused") },
          { status: 404, json: { missing: "anvil" } },
          { status: 200, json: {} }
        ][index]
      )),
      freshRegistry
    ))

  const inOrder = (labels: Labels): Labels => {
    const { "error.type": type, "http.response.status_code": status, operation, vendor, ...rest } = labels
    return {
      ...rest,
      ...(status === undefined ? {} : { "http.response.status_code": status }),
      ...(type === undefined ? {} : { "error.type": type }),
      vendor: vendor!,
      operation: operation!
    }
  }
  const byLabels = ([a]: Shown, [b]: Shown) => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1

  it.effect("measure from the start of an attempt or a call to its end, in seconds", () =>
    Effect.gen(function*() {
      const client = yield* make({ retry: { base: 0 } })
      yield* elapse(find(client))
      const { all, histogram } = yield* metrics
      const attempts = all.flatMap((metric) =>
        metric.id === Telemetry.requestDuration && metric.type === "Histogram" ? [metric.state.sum] : []
      )
      assert.deepStrictEqual(attempts.toSorted((a, b) => a - b), [0.1, 0.25])
      const { buckets, count, max, min, sum } = histogram(Telemetry.operationDuration)
      assert.deepStrictEqual({ count, min, max, sum }, { count: 1, min: 0.35, max: 0.35, sum: 0.35 })
      assert.deepStrictEqual(
        buckets.map(([boundary, below]) => [boundary, below]),
        Telemetry.durationBoundaries.map((boundary) => [boundary, boundary >= 0.35 ? 1 : 0])
      )
    }).pipe(
      Effect.provide(
        FakeTransport.layer((_, index) => index === 0 ? { after: 100, status: 503 } : { after: 250, ...anvil })
      ),
      freshRegistry
    ))

  it.effect("count a value at a boundary in the bucket below, and one beyond the last only in the total", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      const meter = Telemetry.operationMeter(context, {
        vendor: "acme",
        operation: "ping",
        method: "GET",
        address: "acme.example",
        port: 443
      })
      for (const millis of [5, 6, 10_000, 10_001]) meter.operation(millis, "success")
      const { histogram } = yield* metrics
      const { buckets, count, max, min } = histogram(Telemetry.operationDuration)
      assert.deepStrictEqual(buckets[0], [0.005, 1])
      assert.deepStrictEqual(buckets[1], [0.01, 2])
      assert.deepStrictEqual(buckets.at(-1), [10, 3])
      assert.deepStrictEqual({ count, min, max }, { count: 4, min: 0.005, max: 10.001 })
    }).pipe(freshRegistry))

  it.effect("count each attempt by its own status and error", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      const labels = { vendor: "acme", operation: "ping", method: "GET", address: "acme.example", port: 443 }
      const meter = Telemetry.operationMeter(context, labels)
      const ends: ReadonlyArray<readonly [number | undefined, string | undefined]> = [
        [200, undefined],
        [200, "InvalidResponse"],
        [undefined, "Timeout"],
        [undefined, "ConnectFailed"],
        [200, undefined],
        [200, undefined],
        [503, undefined]
      ]
      for (const [status, errorType] of ends) meter.attempt(1, status, errorType)
      for (const outcome of ["success", "Timeout", "success", "success"]) meter.operation(1, outcome)
      const { counted } = yield* metrics
      const counts = (name: string, ...keys: ReadonlyArray<string>) =>
        counted(name).map(([attributes, count]) => [...keys.map((key) => attributes[key] ?? ""), count].join(" "))
      assert.sameMembers(counts(Telemetry.requestDuration, "http.response.status_code", "error.type"), [
        "200  3",
        "200 InvalidResponse 1",
        " Timeout 1",
        " ConnectFailed 1",
        "503  1"
      ])
      assert.sameMembers(counts(Telemetry.operationDuration, "outcome"), ["success 3", "Timeout 1"])
    }).pipe(freshRegistry))

  it.effect("count refusals by the gate that refused", () =>
    Effect.gen(function*() {
      const client = yield* make({
        rateLimit: { limit: 3, window: "1 hour", queue: 0 },
        bulkhead: { limit: 1, queue: 0 },
        breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 hour" },
        retry: false
      })
      // The second is refused while the first is running.
      const both = Effect.all([Effect.exit(find(client)), Effect.exit(find(client))], { concurrency: "unbounded" })
      yield* elapse(both, "1 second")
      // This opens the breaker.
      yield* elapse(Effect.exit(find(client)), "1 second")
      // These find it open, and return their permits to the rate limit.
      for (let i = 0; i < 2; i++) yield* elapse(Effect.exit(find(client)), "1 second")
      const { counted } = yield* metrics
      assert.deepStrictEqual(counted(Telemetry.refusals), [
        [{ ...own, gate: "breaker" }, 2],
        [{ ...own, gate: "bulkhead" }, 1]
      ])
      const quota = yield* make({ rateLimit: { limit: 1, window: "1 hour", queue: 0 }, retry: false }, {
        name: "quota"
      })
      yield* elapse(Effect.exit(find(quota)))
      yield* elapse(Effect.exit(find(quota)))
      const { counted: later } = yield* metrics
      assert.deepStrictEqual(later(Telemetry.refusals).at(-1), [
        { vendor: "quota", operation: "items.find", gate: "ratelimit" },
        1
      ])
    }).pipe(Effect.provide(FakeTransport.layer(() => ({ after: 10, status: 503 }))), freshRegistry))

  it.effect("show the state of each operation's own breaker, and count its changes", () =>
    Effect.gen(function*() {
      let isUp = false
      yield* Effect.gen(function*() {
        const client = yield* make({
          retry: false,
          breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "10 seconds", probes: [1] }
        })
        const state = Effect.map(metrics, ({ counted, shown }) => ({
          state: Object.fromEntries(
            counted(Telemetry.breakerState).map(([{ operation, state }]) => [operation, state])
          ),
          changes: Object.fromEntries(
            shown(Telemetry.breakerTransitions)
              .flatMap(([{ operation, to }, count]) => operation === "items.find" ? [[to, count]] : [])
          )
        }))
        const call = elapse(Effect.exit(find(client)), 1)
        yield* call
        const none = { Closed: 0, HalfOpen: 0, Open: 0 }
        assert.deepStrictEqual(yield* state, {
          state: { "items.find": "closed", "items.order": "closed" },
          changes: none
        })
        yield* call
        assert.deepStrictEqual(yield* state, {
          state: { "items.find": "open", "items.order": "closed" },
          changes: { ...none, Open: 1 }
        })
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* state).state["items.find"], "half_open")
        isUp = true
        yield* call
        assert.deepStrictEqual(yield* state, {
          state: { "items.find": "closed", "items.order": "closed" },
          changes: { Closed: 1, HalfOpen: 1, Open: 1 }
        })
        isUp = false
        for (let i = 0; i < 2; i++) yield* elapse(Effect.exit(client.items.order()), 1)
        assert.deepStrictEqual((yield* state).state, { "items.find": "closed", "items.order": "open" })
      }).pipe(Effect.provide(FakeTransport.layer(() => isUp ? anvil : { status: 503 })))
    }).pipe(freshRegistry))

  it.effect("show running and waiting calls, and the rest of the retry budget", () =>
    Effect.gen(function*() {
      const client = yield* make({
        bulkhead: { limit: 2, queue: 5, maxWait: "1 minute" },
        rateLimit: { limit: 1, window: "10 seconds", queue: 5, maxWait: "1 minute" },
        retryBudget: { reserve: 3, ratio: 0.5, perSecond: 0 },
        retry: { retries: 1, base: 0 },
        attemptTimeout: "1 minute",
        deadline: "10 minutes"
      })
      const gauges = Effect.map(metrics, ({ shown }) =>
        [Telemetry.bulkheadRunning, Telemetry.bulkheadWaiting, Telemetry.rateLimitWaiting, Telemetry.retryBudget].map(
          (name) => {
            const [[labels, value] = [{}, -1], ...others] = shown(name)
            assert.deepStrictEqual([labels, others], [{ vendor: "acme" }, []])
            return value
          }
        ))
      assert.deepStrictEqual(yield* gauges, [0, 0, 0, 3])
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(find(client)), 5)
      yield* TestClock.adjust(0)
      // One is in flight, one waits for a permit, three for the bulkhead. A full budget earns nothing.
      assert.deepStrictEqual(yield* gauges, [2, 3, 1, 3])
      yield* TestClock.adjust("5 seconds")
      // The first attempt has failed; its retry is paid for and waits for a permit.
      assert.deepStrictEqual(yield* gauges, [2, 3, 2, 2])
      yield* TestClock.adjust("5 minutes")
      for (const fiber of fibers) {
        yield* Fiber.join(fiber)
      }
      assert.deepStrictEqual(yield* gauges, [0, 0, 0, 2])
    }).pipe(
      Effect.provide(
        FakeTransport.layer((_, index) =>
          index === 0 ? { after: "5 seconds", status: 503 } : { after: 1, ...anvil }
        )
      ),
      freshRegistry
    ))

  it.effect("are shared by two clients of one vendor, so neither hides the other's counts", () =>
    Effect.gen(function*() {
      const policy: Policy.Policy = {
        retry: { retries: 1, base: 0 },
        breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 hour" }
      }
      // At another origin, so that the client has gates of its own.
      const other = make(policy, { baseUrl: "https://eu.acme.example:8443/v1" })
      for (const client of [yield* make(policy), yield* other]) {
        yield* elapse(Effect.exit(find(client)))
        yield* elapse(Effect.exit(find(client)))
      }
      const { counted, shown } = yield* metrics
      assert.deepStrictEqual(shown(Telemetry.requestDuration).map(([, count]) => count), [4])
      assert.deepStrictEqual(
        counted(Telemetry.operationDuration).map(([{ outcome }, count]) => [outcome, count]),
        [["CircuitOpen", 2], ["Unavailable", 2]]
      )
      assert.deepStrictEqual(shown(Telemetry.retries)[0], [own, 2])
      assert.deepStrictEqual(counted(Telemetry.refusals), [[{ ...own, gate: "breaker" }, 2]])
      assert.deepStrictEqual(counted(Telemetry.breakerTransitions), [[{ ...own, to: "Open" }, 2]])
    }).pipe(Effect.provide(FakeTransport.layer(() => ({ status: 503 }))), freshRegistry))

  it.effect("of different registries are independent", () =>
    Effect.gen(function*() {
      const counts = Effect.gen(function*() {
        yield* elapse(find(yield* make()))
        const { counted } = yield* metrics
        return counted(Telemetry.operationDuration).map(([, count]) => count)
      })
      assert.deepStrictEqual(yield* freshRegistry(counts), [1])
      assert.deepStrictEqual(yield* freshRegistry(counts), [1])
    }).pipe(Effect.provide(FakeTransport.layer(() => anvil))))

  it.effect("distinguish interrupted callers and defects from declared errors", () =>
    Effect.gen(function*() {
      const exits: ReadonlyArray<readonly [string, Effect.Effect<never, never>]> = [
        ["interrupted", Effect.interrupt],
        ["defect", Effect.die("broken")]
      ]
      for (const [vendor, read] of exits) {
        let isMade = false
        const credentials = {
          read: () => {
            if (isMade) return read
            isMade = true
            return Effect.succeed(Redacted.make("test"))
          }
        }
        const client = yield* make({}, { name: vendor, auth: { _tag: "Bearer" } }).pipe(
          Effect.provideService(Credentials, credentials)
        )
        yield* elapse(Effect.exit(find(client))).pipe(Effect.provideService(Credentials, credentials))
      }
      const broken = yield* make({}, {
        classify: () => {
          throw new TypeError("broken")
        }
      })
      const exit = yield* elapse(Effect.exit(find(broken)))
      assert.isTrue(exit._tag === "Failure" && exit.cause.reasons.every(isDie))
      const { counted, shown } = yield* metrics
      assert.deepStrictEqual(
        counted(Telemetry.operationDuration).map(([{ outcome, vendor }, count]) => [vendor, outcome, count]),
        [["acme", "defect", 1], ["defect", "defect", 1], ["interrupted", "interrupted", 1]]
      )
      assert.deepStrictEqual(
        shown(Telemetry.requestDuration).map(([labels]) => [labels["vendor"], labels["error.type"]]),
        [["defect", "defect"], ["interrupted", "interrupted"], ["acme", "defect"]]
      )
    }).pipe(Effect.provide(FakeTransport.layer(() => anvil)), freshRegistry))

  const isDie = (reason: Cause.Reason<unknown>) => reason._tag === "Die"

  it.effect("and the spans hold nothing of a request's path but its template", () => {
    const marked = `marked-${randomUUID()}`
    const tracer = MemoryTracer.make()
    return Effect.gen(function*() {
      const client = yield* make()
      const call = client.items.find({
        params: { id: marked },
        query: { tag: marked },
        headers: { "x-tenant": marked }
      })
      for (let i = 0; i < 2; i++) {
        yield* elapse(Effect.exit(call), "10 seconds").pipe(Effect.provide(tracer.layer))
      }
      const { all } = yield* metrics
      assert.isNotEmpty(tracer.spans)
      assert.isNotEmpty(all)
      for (const { attributes, events, name } of tracer.spans) {
        assert.notInclude(inspect({ name, attributes, events }, { depth: 20 }), marked)
      }
      assert.notInclude(inspect(all, { depth: 20 }), marked)
    }).pipe(
      Effect.provide(FakeTransport.layer((request, index) => {
        assert.include(request.path, marked)
        return index === 0 ? { status: 404, json: { missing: marked } } : undefined
      })),
      freshRegistry
    )
  })
})
