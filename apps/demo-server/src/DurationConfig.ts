/** Durations read from the environment. */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

const Zero = Schema.Literal("0").pipe(
  Schema.decodeTo(
    Schema.Duration,
    SchemaTransformation.transform({ decode: () => Duration.zero, encode: () => "0" as const })
  )
)

const isTime = Schema.makeFilter((duration: Duration.Duration) =>
  Duration.isFinite(duration) && Duration.isGreaterThanOrEqualTo(duration, Duration.zero)
    ? undefined
    : "must be finite and at least 0"
)
const Span = Schema.Union([Zero, Schema.DurationFromString.check(isTime)])

/** A duration such as `5 minutes`, or `0`. Negative and infinite ones are rejected. */
export const span = (variable: string, fallback: Duration.Input): Config.Config<Duration.Duration> =>
  Config.withDefault(Config.schema(Span, variable), Duration.fromInputUnsafe(fallback))
