/**
 * Faults of a vendor, one at a time, on demand. They differ in whether the side effect happens: `resetBefore` and
 * `status` replace the vendor's work, while `resetAfter` and `halfBody` follow it.
 */
import * as Schema from "effect/Schema"

const when = {
  /** The share of requests that meet the fault, from 0 to 1. @default 1 */
  probability: Schema.optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  /** The number of requests that meet the fault before it ends. @default all, until it is cleared */
  times: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  /** The operation that meets the fault, by its name in the contract. @default all */
  operation: Schema.optional(Schema.String)
}

const fault = <const Kind extends string, const Fields extends Schema.Struct.Fields>(kind: Kind, fields: Fields) =>
  Schema.Struct({ kind: Schema.Literal(kind), ...fields, ...when })

export const Fault = Schema.Union([
  /** Accepts the request, but acts and responds this many milliseconds later; at least 0. */
  fault("latency", { millis: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)) }),
  /** Refuses connections: closes the port and every connection. Ignores probability, times and operation. */
  fault("refuse", {}),
  /** Resets the connection before the vendor has acted. */
  fault("resetBefore", {}),
  /** Resets the connection after the vendor has acted. */
  fault("resetAfter", {}),
  /** The vendor acts; the connection is reset halfway through the response. */
  fault("halfBody", {}),
  /** The vendor acts, but the response arrives at this rate; more than 0. */
  fault("drip", { bytesPerSecond: Schema.Finite.check(Schema.isGreaterThan(0)) }),
  /** The vendor acts, but the response never ends. */
  fault("endless", {}),
  /** The vendor acts, but the response is not JSON, although its content type says so. */
  fault("malformed", {}),
  /** The vendor does not act; the response is an HTML page, as from a proxy. */
  fault("wrongType", {}),
  /** The vendor acts, but one field of the response has another name or another type. */
  fault("drift", {}),
  /** The vendor does not act; the response is this status from 200 to 599, by default without headers and body. */
  fault("status", {
    status: Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
    headers: Schema.optional(Schema.Record(Schema.String, Schema.String)),
    body: Schema.optional(Schema.String)
  }),
  /**
   * Rejects requests beyond `limit` (at least 0) in `windowMillis` (more than 0), with the vendor's response for too
   * many requests and no effect. `retryAfterSeconds`, at least 0, is sent as `Retry-After`; without it there is no such
   * header.
   */
  fault("rateLimit", {
    limit: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
    windowMillis: Schema.Finite.check(Schema.isGreaterThan(0)),
    retryAfterSeconds: Schema.optional(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))
  })
])
export type Fault = typeof Fault.Type

/** A seeded random number generator (mulberry32): the same seed gives the same faults. */
export const seededRandom = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Decides which requests meet the fault that is set. */
export class Faults {
  private readonly random: () => number
  private current: Fault | undefined = undefined
  private left = Infinity
  private hits: Array<number> = []

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }
  get active(): Fault | undefined {
    return this.current
  }
  set(fault: Fault | undefined): void {
    this.current = fault
    this.left = fault?.times ?? Infinity
    this.hits = []
  }
  /** The fault that this request meets. */
  meet(operation: string | undefined, now: number): Fault | undefined {
    const fault = this.current
    if (fault === undefined || (fault.operation !== undefined && fault.operation !== operation)) return undefined
    if (fault.probability !== undefined && this.random() >= fault.probability) return undefined
    if (fault.kind === "rateLimit" && this.isWithin(fault.limit, fault.windowMillis, now)) return undefined
    if (--this.left === 0) this.current = undefined
    return fault
  }
  private isWithin(limit: number, windowMillis: number, now: number): boolean {
    this.hits = this.hits.filter((at) => now - at < windowMillis)
    if (this.hits.length >= limit) return false
    this.hits.push(now)
    return true
  }
  /** Renames a field of a JSON object, or changes its type. */
  drift(json: unknown): unknown {
    if (typeof json !== "object" || json === null || Array.isArray(json)) return { unexpected: json }
    const entries = Object.entries(json)
    if (entries.length === 0) return { unexpected: true }
    const chosen = Math.floor(this.random() * entries.length)
    const isRenamed = this.random() < 0.5
    return Object.fromEntries(
      entries.map(([name, value], index) =>
        index !== chosen ? [name, value] : isRenamed ? [`${name}_v2`, value] : [name, otherType(value)]
      )
    )
  }
}

const otherType = (value: unknown): unknown =>
  typeof value === "string" ? { value } : typeof value === "number" ? String(value) : [value]
