/** Times that the environment says. */
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
    : "must be at least 0, and have an end"
)
const Span = Schema.Union([Zero, Schema.DurationFromString.check(isTime)])

/** A time such as `5 minutes`; `0` is none. Nothing below that, and nothing without an end, is taken. */
export const span = (variable: string, fallback: Duration.Input): Config.Config<Duration.Duration> =>
  Config.withDefault(Config.schema(Span, variable), Duration.fromInputUnsafe(fallback))
