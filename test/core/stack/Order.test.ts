import { freePermit, type Gate, refuse } from "@breakwater/core/Gate"
import { BulkheadFull } from "@breakwater/core/Reason"
import type { Kind } from "@breakwater/core/stack/Kind"
import * as Order from "@breakwater/core/stack/Order"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import * as Telemetry from "@breakwater/core/Telemetry"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Metric, Scope } from "effect"
import { readFileSync } from "node:fs"

const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8")

/** `rateLimit` as it is written in a sentence. */
const words = (option: string): string => option.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

describe("the order of the gates", () => {
  it("is this", () => {
    assert.deepStrictEqual(Order.rows.map(({ gate, ring }) => [ring, gate.option]), [
      ["operation", "bulkhead"],
      ["attempt", "throttle"],
      ["attempt", "adaptiveLimit"],
      ["attempt", "rateLimit"],
      ["attempt", "breaker"]
    ])
  })

  it("is that in which a stack runs them, with your own gates last", () => {
    const own = (name: string): Gate => ({ name, admit: () => refuse(new BulkheadFull()) })
    const { plan } = Stack.make({
      vendor: "acme",
      operation: "ring",
      safety: "Idempotent",
      policy: {
        bulkhead: {},
        throttle: {},
        rateLimit: { limit: 1 },
        adaptiveLimit: {},
        gates: { operation: [own("first")], attempt: [own("second")] }
      }
    })
    assert.deepStrictEqual(plan.operationGates.map(({ name }) => name), ["bulkhead", "first"])
    assert.deepStrictEqual(plan.attemptGates.map(({ name }) => name), [
      "throttle",
      "adaptivelimit",
      "ratelimit",
      "breaker",
      "second"
    ])
  })

  it("explains a policy: its gates, each with the reason for its place", () => {
    const explained = Order.explain({ adaptiveLimit: {}, breaker: false })
    assert.deepStrictEqual(explained.map(({ gate, ring }) => [ring, gate]), [
      ["attempt", "adaptiveLimit"],
      ["attempt", "rateLimit"]
    ])
    assert.match(explained[0]!.because, /^around the attempt/)
    assert.match(explained[1]!.because, /meets the vendor's `Retry-After`/)
  })

  it("explains gates of the caller's own as the innermost of their ring", () => {
    const own = { name: "mine", admit: () => freePermit }
    const explained = Order.explain({ gates: { operation: [own], attempt: [own, own] } })
    const names = (ring: string) => explained.filter((row) => row.ring === ring).map(({ gate }) => gate)
    assert.deepStrictEqual([names("operation").slice(-1), names("attempt").slice(-2)], [["mine"], ["mine", "mine"]])
    assert.deepInclude(explained.at(-1), { because: "a gate of your own, after ours" })
  })

  it("is in the README, with defaults and reasons", () => {
    const table = [
      "| ring | gate | counts per | by default | why there |",
      "|---|---|---|---|---|",
      ...Order.rows.map(({ because, gate, ring }) =>
        `| ${ring} | ${words(gate.option)} | ${gate.per} | ${gate.byDefault} | ${because} |`
      )
    ].join("\n")
    assert.include(readme, table)
    const everything: Policy.Policy = { bulkhead: {}, throttle: {}, rateLimit: { limit: 1 }, adaptiveLimit: {} }
    for (const ring of ["operation", "attempt"] as const) {
      const [, picture = ""] = new RegExp(`^${ring} ring (.*?)(?:^\\w|^\`\`\`)`, "ms").exec(readme) ?? []
      const gates = Order.explain(everything).flatMap((row) => row.ring === ring ? [words(row.gate)] : [])
      const places = gates.map((gate) => picture.search(new RegExp(`→ (?:\\s*→ )?${gate}\\b`)))
      assert.isTrue(
        places.every((place, i) => place >= 0 && place >= (places[i - 1] ?? 0)),
        `${ring}: ${places.join(", ")}`
      )
    }
    for (const { byDefault, option } of Order.between) {
      if (byDefault !== "none") assert.include(readme, byDefault, option)
    }
  })
})

describe("the gates of an operation", () => {
  const bulkheads = [undefined, {}, false] as const
  const limits = [undefined, {}, false] as const
  const changes: ReadonlyArray<Policy.Policy | undefined> = [
    undefined,
    {},
    { deadline: "1 minute" },
    { attemptTimeout: "1 second" },
    { bulkhead: {} },
    { bulkhead: false },
    { adaptiveLimit: {} },
    { adaptiveLimit: false },
    { throttle: {} },
    { rateLimit: { limit: 2 } },
    { breaker: {} },
    { breaker: false },
    { retry: {} },
    { retryBudget: {} },
    { hedge: {} }
  ]

  /** The rules as written before there was a table: the settings whose product is not the vendor's. */
  const ownBefore = (vendor: Policy.Policy, own: Policy.Policy = {}): Record<keyof Order.Gates, boolean> => ({
    bulkhead: own.bulkhead !== undefined || (own.adaptiveLimit !== undefined && vendor.bulkhead === undefined),
    adaptiveLimit: own.adaptiveLimit !== undefined,
    throttle: own.throttle !== undefined,
    rateLimit: own.rateLimit !== undefined,
    breaker: own.breaker !== undefined || own.attemptTimeout !== undefined || own.deadline !== undefined,
    retryBudget: own.retryBudget !== undefined,
    retry: own.retry !== undefined,
    hedge: true
  })

  it("are the vendor's, except those that depend on a setting it changes", () => {
    let own = 0
    for (const bulkhead of bulkheads) {
      for (const adaptiveLimit of limits) {
        const vendor: Policy.Policy = { bulkhead, adaptiveLimit, throttle: {}, rateLimit: { limit: 1 }, hedge: {} }
        const shared = Order.makeGates(vendor)
        for (const change of changes) {
          const gates = Order.overrideGates(shared, vendor, change)
          const anew = Order.makeGates({ ...vendor, ...change })
          for (
            const [option, isOwn] of Object.entries(ownBefore(vendor, change)) as Array<[keyof Order.Gates, boolean]>
          ) {
            const told = JSON.stringify({ vendor, change, option })
            if (!isOwn) assert.strictEqual(gates[option], shared[option], told)
            else {
              assert.strictEqual(gates[option] === undefined, anew[option] === undefined, told)
              if (gates[option] !== undefined) assert.notStrictEqual(gates[option], shared[option], told)
              own++
            }
          }
        }
      }
    }
    assert.isAbove(own, 100)
  })
})

describe("a gate that is added", () => {
  interface Curfew extends Gate {
    readonly closed: boolean
    readonly deadline: unknown
  }
  interface CurfewOptions {
    readonly closed: boolean
  }
  type Extended = Policy.Policy & { readonly curfew?: Curfew | CurfewOptions | false | undefined }

  /** Its row in the table of metrics. */
  const curfewState: Telemetry.Metric = {
    name: "trial.curfew.state",
    kind: "StateSet",
    unit: "1",
    labels: ["vendor", "operation", "state"],
    help: "Whether the curfew is on",
    values: { state: ["free", "closed"] }
  }
  const shared: Array<string> = []
  const curfew: Kind<"curfew", CurfewOptions, Curfew> = {
    option: "curfew",
    per: "vendor",
    byDefault: "none",
    fallback: () => false,
    isMade: (option) => typeof option === "object" && option !== null && "admit" in option,
    make: ({ closed }, { deadline }) => ({
      name: "curfew",
      closed,
      deadline,
      admit: () => closed ? refuse(new BulkheadFull(1_000)) : assert.fail("not asked")
    }),
    dependsOn: { make: ["deadline"] },
    gauges: [{ metric: curfewState, read: ({ closed }) => closed ? "closed" : "free" }],
    share: (_, name) =>
      Effect.sync(() => {
        shared.push(name)
      })
  }
  /** Its row in the order: between the rate limit and the rest. */
  const [bulkhead, throttle, adaptiveLimit, rateLimit, ...rest] = Order.rows
  const order = Order.of([
    bulkhead,
    throttle,
    adaptiveLimit,
    rateLimit,
    { ring: "attempt", gate: curfew, because: "at night nobody answers" },
    ...rest
  ])
  const policy: Extended = { curfew: { closed: true }, rateLimit: { limit: 1 } }

  it("is made from its option, taken as given, or left out", () => {
    const gates = order.makeGates(policy)
    assert.isTrue(gates.curfew?.closed)
    const made: Extended = { curfew: gates.curfew }
    assert.strictEqual(order.makeGates(made).curfew, gates.curfew)
    assert.isUndefined(order.makeGates({}).curfew)
    const without: Extended = { curfew: false }
    assert.isUndefined(order.overrideGates(gates, policy, without).curfew)
    assert.isDefined(gates.breaker)
  })

  it("is overridden when a setting it depends on changes", () => {
    const gates = order.makeGates(policy)
    assert.strictEqual(order.overrideGates(gates, policy, { throttle: {} }).curfew, gates.curfew)
    const own = order.overrideGates(gates, policy, { deadline: "1 minute" }).curfew
    assert.notStrictEqual(own, gates.curfew)
    assert.strictEqual(own?.deadline, "1 minute")
  })

  it("stands at the place of its row, and is explained", () => {
    const rings = order.rings(order.makeGates(policy), policy)
    assert.deepStrictEqual(rings.attempt.map(({ name }) => name), ["ratelimit", "curfew", "breaker"])
    assert.deepStrictEqual(order.explain(policy).map(({ gate }) => gate), [
      "bulkhead",
      "rateLimit",
      "curfew",
      "breaker"
    ])
    assert.deepInclude(order.explain(policy), { ring: "attempt", gate: "curfew", because: "at night nobody answers" })
  })

  it.effect("runs in a stack", () =>
    Effect.gen(function*() {
      const { attempt } = order.rings(order.makeGates(policy), policy)
      const stack = Stack.make({
        vendor: "acme",
        operation: "ring",
        safety: "Idempotent",
        policy: { breaker: false, gates: { attempt } }
      })
      const { reason } = yield* Effect.flip(stack.guard(Effect.void, () => undefined))
      assert.deepStrictEqual([reason._tag, reason.retryAfterMillis], ["BulkheadFull", 1_000])
    }))

  it.effect("is shown for each operation, is shared under its name, and is removed with the client", () =>
    Effect.gen(function*() {
      const context = yield* Effect.context<never>()
      const scope = yield* Scope.make()
      const series = yield* Scope.provide(Telemetry.series, scope)
      const gates = order.makeGates(policy)
      const free: Extended = { curfew: { closed: false } }
      const operations = new Map([["ring", gates], ["lift", order.overrideGates(gates, policy, free)]])
      order.observe({ vendor: "acme", series, context }, gates, operations, () => 0)
      yield* Scope.provide(order.share("acme", gates, operations), scope)
      const shown = Effect.map(
        Metric.snapshot,
        (metrics) =>
          metrics.flatMap(({ attributes, id, state }) =>
            id === curfewState.name && (state as { readonly value: number }).value === 1
              ? [`${attributes?.["operation"]} ${attributes?.["state"]}`]
              : []
          )
      )
      assert.sameMembers(yield* shown, ["ring closed", "lift free"])
      assert.deepStrictEqual(shared, ["acme", "acme/lift"])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Metric.snapshot, [])
    }).pipe((test) => Effect.suspend(() => Effect.provideService(test, Metric.MetricRegistry, new Map()))))
})
