/**
 * The order in which a call passes its gates, as data: one row per gate, with the reason for its place. Everything that
 * needs all policies is derived from it: the gates of a policy, the overrides of an operation, the arrays of the stack,
 * gauges, sharing, {@link explain}.
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
import { derive, type GatesOf, inputsOf, madeOf, type Maker, type Order, type Row } from "./Order/Derived.ts"
import { limits, type Policy, slowShare } from "./Policy.ts"

export type { AnySetting, Explained, Maker, Order, Rings, Row } from "./Order/Derived.ts"
export { inputsOf, madeOf }

const isGate = (option: unknown): boolean => typeof option === "object" && option !== null && "admit" in option

const gate = <Name extends keyof Policy, G extends Gate>(
  kind: Omit<Kind<Name, OptionsOf<Name, G>, G>, "isMade">
): Kind<Name, OptionsOf<Name, G>, G> => ({ ...kind, isMade: isGate })

export const rows = [
  {
    ring: "operation",
    gate: gate<"bulkhead", Bulkhead.Bulkhead>({
      option: "bulkhead",
      isLimit: true,
      per: "vendor",
      byDefault: "64 calls at once, 64 waiting, 1 s; none beside an adaptive limit",
      // An adaptive limit has its own queue, and a bulkhead of 64 would cap the limit that it can learn.
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
    gate: gate<"adaptiveLimit", AdaptiveLimit.AdaptiveLimit>({
      option: "adaptiveLimit",
      isLimit: true,
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
      "around the attempt, because it learns from how long the vendor takes; before the rate limit, whose permit must " +
      "not wait here: a call that has to wait there gives its place back, and asks for it again"
  },
  {
    ring: "attempt",
    gate: gate<"rateLimit", RateLimit.RateLimit>({
      option: "rateLimit",
      isLimit: true,
      per: "vendor and key",
      byDefault: "the vendor's own, where it declares one; else calls are held while the vendor asks for it",
      fallback: () => ({}),
      make: RateLimit.make,
      gauges: [{ metric: metrics.rateLimitWaiting, read: (rateLimit, vendor) => rateLimit.waitingIn(vendor) }],
      share: (rateLimit, name) => rateLimit.share(name)
    }),
    perRequest: true,
    because:
      "every attempt costs quota and meets the vendor's `Retry-After`, so every attempt asks; last but for the breaker's " +
      "place, because a permit is only good for a request that goes out at once"
  },
  {
    ring: "attempt",
    gate: gate<"breaker", Breaker.Breaker>({
      option: "breaker",
      per: "vendor, operation and key",
      byDefault: "half of at least 20 calls in 30 s failed or slow; open 5 s each time; probes 1, 4, 16",
      fallback: () => ({}),
      make: (options, policy) =>
        Breaker.make({ slowCall: Duration.millis(limits(policy).attemptMillis * slowShare), ...options }),
      // Without a timeout of its own, an attempt has the deadline for one.
      dependsOn: { make: ["attemptTimeout", "deadline"] },
      gauges: [
        {
          metric: metrics.breakerState,
          read: (breaker, scope, now) => {
            let worst = "closed"
            for (const state of breaker.notClosed(scope, now)) {
              if (state === "Open") return "open"
              worst = "half_open"
            }
            return worst
          }
        },
        {
          metric: metrics.breakerCircuits,
          read: (breaker, vendor, now) => {
            const circuits = { closed: breaker.sizeOf(vendor), half_open: 0, open: 0 }
            for (const state of breaker.notClosed(vendor, now)) {
              circuits.closed--
              circuits[state === "Open" ? "open" : "half_open"]++
            }
            return circuits
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

/** The label `operation` of transitions of a breaker whose keys name no operation. */
const allOperations = "(all)"

/** Counts a breaker's transitions by operation, and logs them: once, although clients share it. */
const watchBreaker = (breaker: Breaker.Breaker, { context, operations, series, vendor }: Client): void => {
  // Keys of its own name no operation: each transition is counted once, for all of them.
  for (const operation of breaker.hasOwnKeys ? [allOperations] : operations) {
    const counters = Object.fromEntries(
      metrics.breakerTransitions.values.to.map((to) =>
        [to, series.counter(metrics.breakerTransitions.name, { vendor, operation, to })] as const
      )
    )
    // Clients of one registry have the same counters.
    series.atEnd(once(breaker, counters["Open"]!, () =>
      breaker.onTransition(({ to }) => {
        counters[to]!.count++
      }, breaker.hasOwnKeys ? vendor : `${vendor}/${operation}`)))
  }
  series.atEnd(once(breaker, `log of ${vendor}`, () =>
    breaker.onTransition(({ from, key, to }) => {
      Effect.runForkWith(context)(Effect.logWarning(`circuit breaker of ${inOneLine(key)}: ${from} → ${to}`))
    }, vendor)))
}

interface Watch {
  users: number
  readonly end: () => void
}

const watches = new WeakMap<object, Map<unknown, Watch>>()

/** Begins to watch a gate for its first user, until the returned function of the last user is called. */
const once = (gate: object, what: unknown, begin: () => () => void): () => void => {
  let ofGate = watches.get(gate)
  if (ofGate === undefined) watches.set(gate, ofGate = new Map())
  let watch = ofGate.get(what)
  if (watch === undefined) ofGate.set(what, watch = { users: 0, end: begin() })
  const used = watch
  used.users++
  return () => {
    if (--used.users > 0) return
    used.end()
    ofGate.delete(what)
  }
}

/** A key may come from outside. Line ends and control characters are escaped, so that it cannot forge a line of the log. */
const inOneLine = (key: string): string =>
  key.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)

/** The settings between the rings. They are not gates: they repeat attempts, add parallel ones, or pay for them. */
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
    isLimit: true,
    byDefault: "10 % of the calls, so a dead vendor is asked at most 1.1 times per call",
    fallback: () => ({}),
    isMade: (option: unknown): boolean => typeof option === "object" && option !== null && "withdraw" in option,
    make: RetryBudget.make,
    gauges: [{ metric: metrics.retryBudget, read: (budget, _vendor, now) => budget.balance(now) }]
  } satisfies Setting<"retryBudget", RetryBudget.RetryBudgetOptions, RetryBudget.RetryBudget>,
  {
    option: "hedge",
    byDefault: "none",
    // It learns from each operation separately.
    perOperation: true,
    fallback: (): Hedge.HedgeOptions | false => false,
    isMade: () => false,
    make: Hedge.make
  } satisfies Setting<"hedge", Hedge.HedgeOptions, Hedge.Hedge>
] as const

/** The gates that a vendor's operations share, unless an operation has its own. Each operation has its own hedge. */
export interface Gates extends GatesOf<typeof rows, typeof between> {}

/** Derives everything from other rows, with the same settings between the rings. */
export const of = <const Rows extends ReadonlyArray<Row>>(rows: Rows): Order<GatesOf<Rows, typeof between>> =>
  derive(rows, between)

const order = of(rows)

/** {@link Order.makeGates} */
export const makeGates: (policy: Policy, make?: Maker) => Gates = order.makeGates
/** {@link Order.overrideGates} */
export const overrideGates: (shared: Gates, vendor: Policy, own: Policy | undefined, make?: Maker) => Gates =
  order.overrideGates
export const { explain, limiting, observe, rings, share } = order

/** The most permits that one call can have under a policy. Throws when an option of its rate limit is out of its range. */
export const capacityOf = ({ rateLimit }: Policy): number => rateLimit ? RateLimit.capacityOf(rateLimit) : Infinity

/** The hedge of an operation; `undefined` if two concurrent sends are not allowed. */
export const hedgeFor = (safety: Safety, { hedge }: Gates): Hedge.Hedge | undefined =>
  safety === "Idempotent" || (safety === "Keyed" && hedge?.keyed === true) ? hedge : undefined
