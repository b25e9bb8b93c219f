import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import { Facts } from "@breakwater/core/Reason"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Telemetry from "@breakwater/core/Telemetry"
import { assert, describe, it } from "@effect/vitest"
import { type Duration, Effect, Exit, Fiber, Metric, Redacted, Schema, Scope } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../../../fakes/Transport.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("ring", "/ring", { success: Schema.Struct({ name: Schema.String }) }),
    HttpApiEndpoint.get("lift", "/lift", { success: Schema.Struct({ name: Schema.String }) })
      .annotate(Operation.Policy, { hedge: { after: "1 second" } })
  )
)

const make = (policy: Policy.Policy = {}, changes: Partial<Parameters<typeof Vendor.make<typeof Api>>[0]> = {}) =>
  Vendor.make({
    name: "acme",
    api: Api,
    baseUrl: "https://acme.example",
    policy: { retry: false, ...policy },
    ...changes
  })

const bell = { status: 200, json: { name: "bell" } }

const elapse = <A, E, R>(effect: Effect.Effect<A, E, R>, duration: Duration.Input = "1 minute") =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust(duration)
    return yield* Fiber.join(fiber)
  })

/** Runs a scenario with its own metrics, against a vendor scripted by `answer`. */
const alone = <A, E, R>(answer: Parameters<typeof FakeTransport.layer>[0], effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.provide(FakeTransport.layer(answer)),
    (scenario) => Effect.suspend(() => Effect.provideService(scenario, Metric.MetricRegistry, new Map()))
  )

/** Every series with its value: `breakwater.bulkhead.running vendor=acme` to 0. */
const series: Effect.Effect<Record<string, number>> = Effect.map(
  Metric.snapshot,
  (snapshots) =>
    Object.fromEntries(snapshots.map((metric) => {
      const labels = Object.entries(metric.attributes ?? {}).map(([label, value]) => `${label}=${value}`)
      const state = metric.state as { readonly count?: number; readonly value?: number }
      return [[metric.id, ...labels].join(" "), state.value ?? state.count ?? Number.NaN]
    }))
)

const only = (all: Record<string, number>, ...names: ReadonlyArray<string>) =>
  Object.fromEntries(Object.entries(all).filter(([key]) => names.some((name) => key.startsWith(name))))

describe("the gauges of a client", () => {
  it.effect("show a breaker that is open for one key as open", () => {
    let isUp = false
    return alone(
      () => isUp ? bell : { status: 503 },
      Effect.gen(function*() {
        const client = yield* make({
          breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "10 seconds", probes: [1] }
        })
        const call = (key: string) => elapse(Effect.exit(client.ring(undefined, { key })), 1)
        for (const key of ["tenant-a", "tenant-a", "tenant-b"]) yield* call(key)
        const breaker = Effect.map(series, (all) => only(all, "breakwater.breaker"))
        const states = (operation: string, closed: number, halfOpen: number, open: number) => ({
          [`breakwater.breaker.state vendor=acme operation=${operation} state=closed`]: closed,
          [`breakwater.breaker.state vendor=acme operation=${operation} state=half_open`]: halfOpen,
          [`breakwater.breaker.state vendor=acme operation=${operation} state=open`]: open
        })
        const circuits = (closed: number, halfOpen: number, open: number) => ({
          "breakwater.breaker.circuits vendor=acme state=closed": closed,
          "breakwater.breaker.circuits vendor=acme state=half_open": halfOpen,
          "breakwater.breaker.circuits vendor=acme state=open": open
        })
        const transitions = (operation: string, closed: number, halfOpen: number, open: number) => ({
          [`breakwater.breaker.transitions vendor=acme operation=${operation} to=Closed`]: closed,
          [`breakwater.breaker.transitions vendor=acme operation=${operation} to=HalfOpen`]: halfOpen,
          [`breakwater.breaker.transitions vendor=acme operation=${operation} to=Open`]: open
        })
        assert.deepStrictEqual(yield* breaker, {
          ...states("ring", 0, 0, 1),
          ...states("lift", 1, 0, 0),
          ...circuits(1, 0, 1),
          ...transitions("ring", 0, 0, 1),
          ...transitions("lift", 0, 0, 0)
        })
        yield* TestClock.adjust("10 seconds")
        assert.deepInclude(yield* breaker, { ...states("ring", 0, 1, 0), ...circuits(1, 1, 0) })
        isUp = true
        yield* call("tenant-a")
        assert.deepInclude(yield* breaker, {
          ...states("ring", 1, 0, 0),
          ...circuits(2, 0, 0),
          ...transitions("ring", 1, 1, 1),
          ...transitions("lift", 0, 0, 0)
        })
      })
    )
  })

  it.effect("forget a circuit with its key", () =>
    alone(
      () => ({ status: 503 }),
      Effect.gen(function*() {
        const breaker = { trip: { _tag: "Consecutive", failures: 1 }, openFor: "1 hour", maxKeys: 2 } as const
        const client = yield* make({ breaker })
        for (const key of ["a", "b", "c", "d"]) yield* elapse(Effect.exit(client.ring(undefined, { key })), 1)
        assert.deepStrictEqual(only(yield* series, "breakwater.breaker.circuits"), {
          "breakwater.breaker.circuits vendor=acme state=closed": 0,
          "breakwater.breaker.circuits vendor=acme state=half_open": 0,
          "breakwater.breaker.circuits vendor=acme state=open": 2
        })
      })
    ))

  it.effect("show all circuits of a breaker whose keys are its own, at each of its operations", () =>
    alone(
      () => ({ status: 503 }),
      Effect.gen(function*() {
        const trip = { _tag: "Consecutive", failures: 1 } as const
        const client = yield* make({ breaker: { trip, openFor: "1 hour", by: () => "everything" } })
        yield* elapse(Effect.exit(client.ring()), 1)
        assert.deepInclude(yield* series, {
          "breakwater.breaker.state vendor=acme operation=lift state=open": 1,
          "breakwater.breaker.transitions vendor=acme operation=(all) to=Open": 1
        })
      })
    ))

  it.effect("count the calls that wait for a rate limit under all keys, and show the throttle of the worst one", () =>
    alone(
      () => ({ status: 503 }),
      Effect.gen(function*() {
        const client = yield* make({
          rateLimit: { limit: 1, window: "1 hour", maxWait: "2 hours", by: (call) => `${call.vendor}/${call.key}` },
          throttle: { minimumCalls: 1, k: 1 },
          deadline: "3 hours"
        })
        const call = (key: string) => Effect.forkChild(Effect.exit(client.ring(undefined, { key })))
        for (const key of ["tenant-a", "tenant-a", "tenant-a", "tenant-b", "tenant-b"]) yield* call(key)
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(only(yield* series, "breakwater.ratelimit", "breakwater.throttle"), {
          "breakwater.ratelimit.waiting vendor=acme": 3,
          // One call of each key was rejected: (1 - 0) / (1 + 1).
          "breakwater.throttle.probability vendor=acme": 0.5
        })
      })
    ))

  it.effect("count the calls that wait for a rate limit under its own keys", () =>
    alone(
      () => bell,
      Effect.gen(function*() {
        const client = yield* make({
          rateLimit: { limit: 1, window: "1 hour", maxWait: "2 hours" },
          deadline: "3 hours"
        })
        for (const key of ["tenant-a", "tenant-a", "tenant-b", "tenant-b", ""]) {
          yield* Effect.forkChild(Effect.exit(client.ring(undefined, { key })))
        }
        yield* TestClock.adjust(1)
        assert.strictEqual((yield* series)["breakwater.ratelimit.waiting vendor=acme"], 2)
      })
    ))
})

describe("the series of several clients", () => {
  it.effect("add up, and show the worst of their states, until one of them is closed", () =>
    alone(
      () => ({ after: "1 second", status: 503 }),
      Effect.gen(function*() {
        const policy: Policy.Policy = { breaker: { trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 hour" } }
        const first = yield* make(policy)
        const scope = yield* Scope.make()
        const second = yield* Scope.provide(make(policy, { baseUrl: "https://eu.acme.example" }), scope)
        const fibers = yield* Effect.forEach([first, first, first, first, second, second], (client) =>
          Effect.forkChild(Effect.exit(client.lift())))
        yield* TestClock.adjust(1)
        const running = Effect.map(series, (all) =>
          all["breakwater.bulkhead.running vendor=acme"])
        assert.strictEqual(yield* running, 6)
        yield* TestClock.adjust("1 minute")
        for (const fiber of fibers) yield* Fiber.join(fiber)
        const third = yield* make(policy, { baseUrl: "https://us.acme.example" })
        yield* elapse(Effect.exit(third.ring()))
        const open = "breakwater.breaker.state vendor=acme operation=lift state=open"
        const circuits = "breakwater.breaker.circuits vendor=acme state=open"
        assert.deepInclude(yield* series, { [open]: 1, [circuits]: 2 })
        yield* Scope.close(scope, Exit.void)
        assert.deepInclude(yield* series, { [open]: 1, [circuits]: 1 })
      })
    ))

  it.effect("count a shared gate once", () =>
    alone(
      () => ({ after: "1 second", ...bell }),
      Effect.gen(function*() {
        const bulkhead = Bulkhead.make()
        const first = yield* make({ bulkhead })
        yield* make({ bulkhead })
        const other = yield* make({ bulkhead }, { name: "other" })
        yield* Effect.forkChild(first.ring())
        yield* Effect.forkChild(other.ring())
        yield* Effect.forkChild(other.ring())
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(only(yield* series, "breakwater.bulkhead.running"), {
          "breakwater.bulkhead.running vendor=acme": 1,
          "breakwater.bulkhead.running vendor=other": 2
        })
      })
    ))

  it.effect("leave nothing behind when they are closed", () =>
    alone(
      () => bell,
      Effect.gen(function*() {
        const credentials = { read: () => Effect.succeed(Redacted.make("test")) }
        for (let i = 0; i < 200; i++) {
          yield* Effect.scoped(make(
            { rateLimit: { limit: 1 }, throttle: {}, cache: { fresh: "1 minute" } },
            { name: `vendor-${i % 100}`, auth: { _tag: "Bearer" } }
          )).pipe(Effect.provideService(Credentials, credentials))
        }
        assert.deepStrictEqual(yield* series, {})
      })
    ))

  it.effect("count a call that outlives its client, and continue from there", () =>
    alone(
      () => ({ after: "1 second", ...bell }),
      Effect.gen(function*() {
        const counts = Effect.map(series, (all) =>
          all["breakwater.operations vendor=acme operation=ring outcome=success"])
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(make({}), scope)
        const call = yield* Effect.forkChild(first.ring())
        yield* TestClock.adjust(1)
        yield* Scope.close(scope, Exit.void)
        assert.isUndefined(yield* counts)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(call)
        assert.strictEqual(yield* counts, 1)
        const second = yield* make({})
        assert.strictEqual(yield* counts, 1)
        yield* elapse(second.ring(), 2_000)
        assert.strictEqual(yield* counts, 2)
      })
    ))

  it.effect("stand apart where the program gives its metrics attributes of its own", () =>
    alone(
      () => ({ after: "1 second", ...bell }),
      Effect.gen(function*() {
        const region = (name: string) => Effect.provideService(Metric.CurrentMetricAttributes, { region: name })
        yield* make({}, { baseUrl: "https://eu.acme.example" }).pipe(region("eu"))
        const us = yield* make({}, { baseUrl: "https://us.acme.example" }).pipe(region("us"))
        yield* Effect.forkChild(us.ring().pipe(region("us")))
        yield* TestClock.adjust(1)
        const running = Object.entries(only(yield* series, "breakwater.bulkhead.running"))
        const byRegion = running.map(([name, value]) => [/region=(\w+)/.exec(name)?.[1], value] as const)
        assert.deepStrictEqual(Object.fromEntries(byRegion), { eu: 0, us: 1 })
      })
    ))

  it.effect("keep their counts for a later exporter, and continue from there", () =>
    alone(
      () => bell,
      Effect.gen(function*() {
        const use = Effect.scoped(
          Effect.flatMap(make({ cache: { fresh: "1 minute" } }), (client) => elapse(client.ring(), 1))
        )
        const counted = {
          "breakwater.operation.duration vendor=acme operation=ring outcome=success": 1,
          "breakwater.operations vendor=acme operation=ring outcome=success": 1,
          "breakwater.cache.lookups vendor=acme operation=ring result=misses": 1
        }
        const names = ["breakwater.operation", "breakwater.cache", "breakwater.breaker", "breakwater.retr"]
        yield* use
        assert.deepStrictEqual(only(yield* series, ...names), counted)
        yield* use
        assert.deepStrictEqual(only(yield* series, ...names), {
          "breakwater.operation.duration vendor=acme operation=ring outcome=success": 2,
          "breakwater.operations vendor=acme operation=ring outcome=success": 2,
          "breakwater.cache.lookups vendor=acme operation=ring result=misses": 2
        })
      })
    ))
})

describe("the series of a client that has done nothing", () => {
  it.effect("start at 0, so that the first event of each kind is visible", () =>
    alone(
      () => bell,
      Effect.gen(function*() {
        const credentials = { read: () => Effect.succeed(Redacted.make("test")) }
        yield* make({ rateLimit: { limit: 1 }, retry: {} }, { auth: { _tag: "Bearer" } }).pipe(
          Effect.provideService(Credentials, credentials)
        )
        const all = yield* series
        const counts = Object.keys(all).filter((key) =>
          Object.values(Telemetry.metrics).some(({ kind, name }) =>
            (kind === "Counter" || kind === "Histogram") && key.startsWith(`${name} `)
          )
        )
        const ofOperation = (operation: string) => {
          const own = `vendor=acme operation=${operation}`
          return [
            ...["success", "declared", "interrupted", "defect", ...Facts.tags].map((outcome) =>
              `breakwater.operations ${own} outcome=${outcome}`
            ),
            ...["bulkhead", "ratelimit", "breaker"].map((gate) => `breakwater.refusals ${own} gate=${gate}`),
            ...["Closed", "HalfOpen", "Open"].map((to) => `breakwater.breaker.transitions ${own} to=${to}`),
            `breakwater.retries ${own}`
          ]
        }
        assert.sameMembers(counts, [
          ...ofOperation("ring"),
          ...ofOperation("lift"),
          "breakwater.hedges vendor=acme operation=lift",
          "breakwater.credential.refusals vendor=acme"
        ])
        assert.deepStrictEqual(counts.filter((key) => all[key] !== 0), [])
      })
    ))
})
