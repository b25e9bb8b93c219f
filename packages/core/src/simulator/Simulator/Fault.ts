/**
 * What can go wrong at a vendor, one at a time, on demand. The decisive question of each is whether the side effect
 * happens: `resetBefore` and `status` act instead of the vendor, `resetAfter` and `halfBody` after it has acted.
 */
import * as Schema from "effect/Schema"

const when = {
  /** How likely a request meets the fault, from 0 to 1. @default 1 */
  probability: Schema.optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  /** How many requests meet it before it is over. @default all, until it is cleared */
  times: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  /** The operation that meets it, by its name in the contract. @default all */
  operation: Schema.optional(Schema.String)
}

const fault = <const Kind extends string, const Fields extends Schema.Struct.Fields>(kind: Kind, fields: Fields) =>
  Schema.Struct({ kind: Schema.Literal(kind), ...fields, ...when })

export const Fault = Schema.Union([
  /** Takes the request, and acts and answers only that much later, in milliseconds of at least 0. */
  fault("latency", { millis: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)) }),
  /** Nobody listens: the port is closed, and every connection with it. Knows no probability, times or operation. */
  fault("refuse", {}),
  /** The connection is reset before anything has happened. */
  fault("resetBefore", {}),
  /** The connection is reset after everything has happened. */
  fault("resetAfter", {}),
  /** Everything happens, and the connection is reset in the middle of the answer. */
  fault("halfBody", {}),
  /** Everything happens, and the answer comes this slowly; more than 0. */
  fault("drip", { bytesPerSecond: Schema.Finite.check(Schema.isGreaterThan(0)) }),
  /** Everything happens, and the answer never ends. */
  fault("endless", {}),
  /** Everything happens, and the answer is not JSON though it says so. */
  fault("malformed", {}),
  /** Nothing happens, and an HTML page is the answer, as from a proxy. */
  fault("wrongType", {}),
  /** Everything happens, and a field of the answer has another name or another type. */
  fault("drift", {}),
  /** Nothing happens, and this is the answer: a status from 200 to 599, no headers and an empty body unless they are said. */
  fault("status", {
    status: Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 })),
    headers: Schema.optional(Schema.Record(Schema.String, Schema.String)),
    body: Schema.optional(Schema.String)
  }),
  /**
   * More than `limit` requests (at least 0) in `windowMillis` (more than 0) are answered as the vendor answers to too
   * many, and do nothing. `Retry-After` says `retryAfterSeconds`, at least 0; it is left out unless they are said.
   */
  fault("rateLimit", {
    limit: Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)),
    windowMillis: Schema.Finite.check(Schema.isGreaterThan(0)),
    retryAfterSeconds: Schema.optional(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))
  })
])
export type Fault = typeof Fault.Type

/** A seeded random number generator (mulberry32): the same seed, the same faults. */
export const seededRandom = (seed: number): () => number => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Decides which request meets the fault that is set. */
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
  /** Renames a field of a JSON object, or gives one another type. */
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
