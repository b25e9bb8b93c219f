/**
 * Reads the options of a source from environment variables, through the `ConfigProvider`. An empty variable counts as
 * absent, because an unfilled template leaves it empty. Line ends at the end of a variable do not count.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { withoutLineEnds } from "../credentials/Source.ts"

export const text = (name: string): Config.Config<string | undefined> =>
  Config.map(Config.withDefault(Config.String(name), ""), (value) => withoutLineEnds(value) || undefined)

/** Absent if the variable is absent. */
export const required = (name: string): Config.Config<string> =>
  or(text(name), Config.flatMap(Config.NonEmptyString(name), () => mistaken(name, "must not be empty")))

export const secret = (name: string): Config.Config<Redacted.Redacted | undefined> =>
  Config.map(text(name), (value) => value === undefined ? undefined : Redacted.make(value))

/** One of a few words; the default is the first. */
export const word = <const W extends string>(
  name: string,
  words: readonly [W, ...ReadonlyArray<W>]
): Config.Config<W> =>
  Config.flatMap(text(name), (value) => {
    const found = value === undefined ? words[0] : words.find((one) => one === value)
    return found === undefined ? mistaken(name, `must be one of ${words.join(", ")}`) : Config.succeed(found)
  })

/** `true` or `false`; the default is `false`. */
export const flag = (name: string): Config.Config<boolean> =>
  Config.map(word(name, ["false", "true"]), (value) => value === "true")

/** The first value, or the second if the first is `undefined`. */
export const or = <A, B>(first: Config.Config<A | undefined>, second: Config.Config<B>): Config.Config<A | B> =>
  Config.flatMap(first, (value): Config.Config<A | B> => value === undefined ? second : Config.succeed(value))

/** Turns an exception of `check` into a configuration error that names the variable. */
export const checked = <A>(
  name: string,
  config: Config.Config<A>,
  check: (value: A & {}) => unknown
): Config.Config<A> =>
  Config.mapEffect(config, (value) =>
    Effect.try({
      try: () => {
        if (value !== undefined && value !== null) check(value)
        return value
      },
      catch: (cause) => errorOf(name, cause instanceof Error ? cause.message : "is invalid")
    }))

/** An invalid variable, which must not be mistaken for an absent one. */
export const mistaken = (name: string, message: string): Config.Config<never> =>
  Config.fail(errorOf(name, message).cause)

const errorOf = (name: string, message: string): Config.ConfigError =>
  new Config.ConfigError(
    new Schema.SchemaError(new SchemaIssue.Pointer([name], new SchemaIssue.InvalidValue({ message })))
  )
