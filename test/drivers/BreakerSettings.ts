/** Arbitrary settings of a breaker, small enough that a script of a few dozen calls reaches all its states. */
import { Schema } from "effect"

export const intBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

export const Settings = Schema.Struct({
  trip: Schema.Union([
    Schema.TaggedStruct("Consecutive", { failures: intBetween(1, 4) }),
    Schema.TaggedStruct("CountWindow", {
      size: Schema.Literals([4, 5, 8]),
      minimumCalls: intBetween(1, 4),
      failureRate: Schema.Literals([0.25, 0.5, 0.6, 1]),
      slowCallRate: Schema.Literals([0.25, 0.5, 1])
    }),
    Schema.TaggedStruct("TimeWindow", {
      window: Schema.Literals([1_000, 10_000]),
      buckets: intBetween(1, 5),
      minimumCalls: intBetween(1, 5),
      failureRate: Schema.Literals([0.25, 0.5, 0.6, 1]),
      slowCallRate: Schema.Literals([0.25, 0.5, 1])
    })
  ]),
  openFor: intBetween(0, 2_000),
  growth: Schema.Literals([1, 1.5, 2, 3]),
  maxOpenFor: intBetween(2_000, 8_000),
  probes: Schema.Array(intBetween(1, 5)).check(Schema.isBetweenLength(1, 3)),
  probeTimeout: intBetween(1, 3_000)
})
export type Settings = typeof Settings.Type
