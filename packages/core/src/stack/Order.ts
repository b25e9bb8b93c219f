/**
 * The order in which a call meets its gates, as data: one row for each, with the reason for its place. What a policy makes,
 * what an operation overrides, what is shown and shared, and the arrays of the stack are derived from it. No other file
 * knows the policies together.
 *
 * @example
 * ```ts
 * import { Order } from "@breakwater/core"
 *
 * for (const { gate, ring } of Order.explain({ rateLimit: { limit: 5 } })) console.log(ring, gate)
 * // => operation bulkhead
 * // => attempt rateLimit
 * // => attempt breaker
 * ```
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Gate } from "../Gate.ts"
import * as AdaptiveLimit from "../policies/AdaptiveLimit.ts"
import * as Breaker from "../policies/Breaker.ts"
import * as Bulkhead from "../policies/Bulkhead.ts"
import * as Hedge from "../policies/Hedge.ts"
import * as RateLimit from "../policies/RateLimit.ts"
import * as Retry from "../policies/Retry.ts"
import * as RetryBudget from "../policies/RetryBudget.ts"
import * as Throttle from "../policies/Throttle.ts"
import type { Safety } from "../Safety.ts"
import { metrics } from "../Telemetry.ts"
import type { Client, Kind, OptionsOf, Setting } from "./Kind.ts"
import { limits, type Policy } from "./Policy.ts"

/** One gate and its place. The rows of a ring are asked in their order, the outermost first. */
export interface Row {
  /** `operation`: asked once for a call. `attempt`: asked for each of its attempts, inside the retry and the hedge. */
  readonly ring: "operation" | "attempt"
  readonly gate: Kind<string, unknown, Gate>
  /** The reason for its place. */
  readonly because: string
}

const isGate = (option: unknown): boolean => typeof option === "object" && option !== null && "admit" in option

const gate = <Name extends keyof Policy, G extends Gate>(
  kind: Omit<Kind<Name, OptionsOf<Name, G>, G>, "isMade">
): Kind<Name, OptionsOf<Name, G>, G> => ({ ...kind, isMade: isGate })

export const rows = [
  {
    ring: "operation",
    gate: gate<"bulkhead", Bulkhead.Bulkhead>({
      option: "bulkhead",
      per: "vendor",
      byDefault: "64 calls at once, 64 waiting, 1 s; none beside an adaptive limit",
      // The queue of an adaptive limit bounds what waits, and a bulkhead's 64 would bound what it can learn.
      fallback: ({ adaptiveLimit }) => adaptiveLimit ? false : {},
      dependsOn: { fallback: ["adaptiveLimit"] },
      make: Bulkhead.make,
      gauges: [
        { metric: metrics.bulkheadRunning, read: (bulkhead, vendor) => bulkhead.inUse(vendor).running },
        { metric: metrics.bulkheadWaiting, read: (bulkhead, vendor) => bulkhead.inUse(vendor).waiting }
      ]
    }),
    because: "one place for the whole operation: a call that retries must not take a second one"
  },
  {
    ring: "attempt",
    gate: gate<"throttle", Throttle.Throttle>({
      option: "throttle",
      per: "vendor and key",
      byDefault: "none",
      fallback: () => false,
      make: Throttle.make,
      gauges: [
        { metric: metrics.throttleProbability, read: (throttle, vendor, now) => throttle.worst(vendor, now) }
      ]
    }),
    because: "outermost: an attempt that will not be sent should not wait first"
  },
  {
    ring: "attempt",
    gate: gate<"rateLimit", RateLimit.RateLimit>({
      option: "rateLimit",
      per: "vendor and key",
      byDefault: "the vendor's own, where it declares one",
      fallback: () => false,
      make: RateLimit.make,
      gauges: [{ metric: metrics.rateLimitWaiting, read: (rateLimit, vendor) => rateLimit.waitingIn(vendor) }],
      share: (rateLimit, name) => rateLimit.share(name)
    }),
    because: "every attempt costs quota, so every attempt asks"
  },
  {
    ring: "attempt",
    gate: gate<"adaptiveLimit", AdaptiveLimit.AdaptiveLimit>({
      option: "adaptiveLimit",
      per: "vendor",
      byDefault: "none",
      fallback: () => false,
      make: AdaptiveLimit.make,
      gauges: [
        { metric: metrics.adaptiveLimit, read: (limit, vendor) => limit.inUse(vendor).limit },
        { metric: metrics.adaptiveLimitRunning, read: (limit, vendor) => limit.inUse(vendor).running },
        { metric: metrics.adaptiveLimitWaiting, read: (limit, vendor) => limit.inUse(vendor).waiting }
      ]
    }),
    because:
      "inside the rate limit, or a call that waits for a permit would hold a place; around the attempt, because it " +
      "learns from how long the vendor takes"
  },
  {
    ring: "attempt",
    gate: gate<"breaker", Breaker.Breaker>({
      option: "breaker",
      per: "vendor, operation and key",
      byDefault: "half of at least 20 calls in 30 s failed or slow; open 5 s, growing to 60 s; probes 1, 4, 16",
      fallback: () => ({}),
      make: (options, policy) =>
        Breaker.make({ slowCall: Duration.millis(limits(policy).attemptMillis * 2 / 3), ...options }),
      dependsOn: { make: ["attemptTimeout"] },
      gauges: [
        {
          metric: metrics.breakerState,
          read: (breaker, scope, now) => {
            const states = breaker.notClosed(scope, now)
            return states.includes("Open") ? "open" : states.includes("HalfOpen") ? "half_open" : "closed"
          }
        },
        {
          metric: metrics.breakerCircuits,
          read: (breaker, vendor, now) => {
            const states = breaker.notClosed(vendor, now)
            const open = states.filter((state) => state === "Open").length
            return { closed: breaker.size - states.length, half_open: states.length - open, open }
          }
        }
      ],
      watch: (breaker, client) => watchBreaker(breaker, client),
      share: (breaker) => breaker.share
    }),
    because:
      "inside the limits, or a waiting call would hold a probe's place; inside the retry, which stops when it opens"
  }
] as const satisfies ReadonlyArray<Row>

/** Counts the changes of a breaker by operation, and logs them. */
const watchBreaker = (breaker: Breaker.Breaker, { context, operations, series, vendor }: Client): void => {
  for (const operation of operations) {
    const counters = Object.fromEntries(
      metrics.breakerTransitions.values.to.map((to) =>
        [to, series.counter(metrics.breakerTransitions.name, { vendor, operation, to })] as const
      )
    )
    series.atEnd(breaker.onTransition(({ to }) => {
      counters[to]!.count++
    }, `${vendor}/${operation}`))
  }
  series.atEnd(breaker.onTransition(({ from, key, to }) => {
    Effect.runForkWith(context)(Effect.logWarning(`circuit breaker of ${key}: ${from} → ${to}`))
  }))
}

/** The settings between the rings: they are no gates, for they repeat and join attempts, or pay for that. */
export const between = [
  {
    option: "retry",
    byDefault: "3, exponential from 500 ms with full jitter, never before `Retry-After`, never past the deadline",
    fallback: () => ({}),
    isMade: Schedule.isSchedule,
    make: Retry.backoff
  } satisfies Setting<"retry", Retry.BackoffOptions, Retry.RetrySchedule>,
  {
    option: "retryBudget",
    byDefault: "10 % of the calls, so a dead vendor is asked at most 1.1 times per call",
    fallback: () => ({}),
    isMade: (option: unknown): boolean => typeof option === "object" && option !== null && "withdraw" in option,
    make: RetryBudget.make,
    gauges: [{ metric: metrics.retryBudget, read: (budget, _vendor, now) => budget.balance(now) }]
  } satisfies Setting<"retryBudget", RetryBudget.RetryBudgetOptions, RetryBudget.RetryBudget>,
  {
    option: "hedge",
    byDefault: "none",
    // It learns from each operation alone.
    perOperation: true,
    fallback: (): Hedge.HedgeOptions | false => false,
    isMade: () => false,
    make: Hedge.make
  } satisfies Setting<"hedge", Hedge.HedgeOptions, Hedge.Hedge>
] as const

type AnySetting = Setting<string, unknown, unknown>

type MadeOf<S extends { readonly option: string; make(...args: ReadonlyArray<never>): unknown }> = {
  readonly [One in S as One["option"]]: ReturnType<One["make"]> | undefined
}

/** The gates of some rows, and what stands between their rings. */
export type GatesOf<Rows extends ReadonlyArray<Row>> =
  & MadeOf<Rows[number]["gate"]>
  & MadeOf<(typeof between)[number]>

/** What the operations of a vendor share, unless one has its own; but for the hedge, which learns from each alone. */
export interface Gates extends GatesOf<typeof rows> {}

/** The gates of both rings, in their order. */
export interface Rings {
  readonly operation: ReadonlyArray<Gate>
  readonly attempt: ReadonlyArray<Gate>
}

/** A gate's place in words. */
export interface Explained {
  readonly ring: Row["ring"]
  /** The option's name, or that of a gate of your own. */
  readonly gate: string
  readonly because: string
}

/** Everything that follows from an order of gates. */
export interface Order<Made> {
  /** Makes what a policy describes. Throws when an option is out of its range. */
  readonly makeGates: (policy: Policy) => Made
  /** The gates of one operation: the vendor's, but for those whose settings it has changed. */
  readonly overrideGates: (shared: Made, vendor: Policy, own: Policy | undefined) => Made
  /** The arrays of the stack; gates of your own come after ours. */
  readonly rings: (gates: Made, policy: Policy) => Rings
  /** The gates that a policy has, in their order, each with the reason for its place. */
  readonly explain: (policy: Policy) => ReadonlyArray<Explained>
  /** Shows the gates of a client among the metrics, until its series end. */
  readonly observe: (
    client: Omit<Client, "operations">,
    gates: Made,
    operations: ReadonlyMap<string, Made>,
    now: () => number
  ) => void
  /** Lets the gates of a client count together with those of the fleet. To be run before the first call. */
  readonly share: (
    vendor: string,
    gates: Made,
    operations: ReadonlyMap<string, Made>
  ) => Effect.Effect<void, never, Scope.Scope>
}

/** Derives everything from rows. */
export const of = <const Rows extends ReadonlyArray<Row>>(rows: Rows): Order<GatesOf<Rows>> => {
  const settings: ReadonlyArray<AnySetting> = [...rows.map((row) => row.gate), ...between as ReadonlyArray<AnySetting>]
  const combined = (made: (setting: AnySetting) => unknown) =>
    Object.fromEntries(settings.map((setting) => [setting.option, made(setting)])) as GatesOf<Rows>
  const productsOf = (gates: GatesOf<Rows>) => gates as Readonly<Record<string, object | undefined>>

  const makeGates = (policy: Policy) => combined((setting) => madeOf(setting, policy))
  const rings = (gates: GatesOf<Rows>, policy: Policy): Rings => {
    const ring = (name: Row["ring"]) =>
      rows.filter((row) => row.ring === name)
        .map((row) => productsOf(gates)[row.gate.option] as Gate | undefined)
        .filter((gate) => gate !== undefined)
        .concat(policy.gates?.[name] ?? [])
    return { operation: ring("operation"), attempt: ring("attempt") }
  }

  /** Each product once, under the name of the first that uses it, and the operations that it stands before. */
  const placed = (vendor: string, gates: GatesOf<Rows>, operations: ReadonlyMap<string, GatesOf<Rows>>) =>
    settings.flatMap((setting) => {
      const places = new Map<object, Placed>()
      const place = (made: object | undefined, name: string): Placed | undefined => {
        if (made !== undefined && !places.has(made)) places.set(made, { setting, made, name, operations: [] })
        return made && places.get(made)
      }
      place(productsOf(gates)[setting.option], vendor)
      for (const [id, own] of operations) place(productsOf(own)[setting.option], `${vendor}/${id}`)?.operations.push(id)
      return [...places.values()]
    })

  return {
    makeGates,
    overrideGates: (shared, vendor, own = {}) =>
      combined((setting) =>
        isOwn(setting, vendor, own) ? madeOf(setting, { ...vendor, ...own }) : productsOf(shared)[setting.option]
      ),
    rings,
    explain: (policy) => {
      const gates = productsOf(makeGates(policy))
      return (["operation", "attempt"] as const).flatMap((ring): ReadonlyArray<Explained> => [
        ...rows.filter((row) => row.ring === ring && gates[row.gate.option] !== undefined)
          .map(({ because, gate }) => ({ ring, gate: gate.option, because })),
        ...(policy.gates?.[ring] ?? []).map(({ name }) => ({
          ring,
          gate: name,
          because: "a gate of your own, after ours"
        }))
      ])
    },
    observe: ({ context, series, vendor }, gates, operations, now) => {
      for (const { made, operations: ids, setting } of placed(vendor, gates, operations)) {
        for (const gauge of setting.gauges ?? []) {
          const { metric } = gauge
          const labels = metric.labels.includes("operation")
            ? ids.map((operation) => [{ vendor, operation }, `${vendor}/${operation}`] as const)
            : [[{ vendor }, vendor] as const]
          for (const [own, scope] of labels) series.observe(metric, own, made, () => gauge.read(made, scope, now()))
        }
        setting.watch?.(made, { vendor, operations: ids, series, context })
      }
    },
    share: (vendor, gates, operations) =>
      Effect.forEach(
        placed(vendor, gates, operations),
        // A gate that no operation uses hears of nothing that it could tell the others.
        ({ made, name, operations, setting }) =>
          operations.length === 0 ? Effect.void : setting.share?.(made, name) ?? Effect.void,
        { discard: true }
      )
  }
}

interface Placed {
  readonly setting: AnySetting
  readonly made: object
  readonly name: string
  readonly operations: Array<string>
}

const madeOf = (setting: AnySetting, policy: Policy): unknown => {
  const option = policy[setting.option as keyof Policy] ?? setting.fallback(policy)
  if (option === false) return undefined
  return setting.isMade(option) ? option : setting.make(option, policy)
}

const isOwn = ({ dependsOn = {}, option, perOperation = false }: AnySetting, vendor: Policy, own: Policy): boolean => {
  const isChanged = (name: string) => own[name as keyof Policy] !== undefined
  return perOperation || isChanged(option) || (dependsOn.make ?? []).some(isChanged) ||
    (vendor[option as keyof Policy] === undefined && (dependsOn.fallback ?? []).some(isChanged))
}

const order = of(rows)

/** {@link Order.makeGates} */
export const makeGates: (policy: Policy) => Gates = order.makeGates
/** {@link Order.overrideGates} */
export const overrideGates: (shared: Gates, vendor: Policy, own: Policy | undefined) => Gates = order.overrideGates
export const { explain, observe, rings, share } = order

/** The hedge of an operation, where sending it twice at the same time is allowed. */
export const hedgeFor = (safety: Safety, { hedge }: Gates): Hedge.Hedge | undefined =>
  safety === "Idempotent" || (safety === "Keyed" && hedge?.keyed === true) ? hedge : undefined
