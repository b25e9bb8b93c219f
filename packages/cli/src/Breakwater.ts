/** The command line `breakwater`: its commands, and the exit code of a run. */
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import packageJson from "../package.json" with { type: "json" }
import * as Platform from "./Platform.ts"
import * as Secrets from "./secrets/Secrets.ts"
import * as Usage from "./Usage.ts"

const breakwater = Command.make("breakwater").pipe(
  Command.withDescription("The command of @breakwater/core"),
  Command.withSubcommands([Secrets.command])
)

/** 0 when the work is done, 1 when it was refused, 2 when the command line is not valid. */
export const run = (words: ReadonlyArray<string>): Effect.Effect<number> =>
  Command.runWith(breakwater, { version: packageJson.version })(words).pipe(
    Effect.as(0),
    Effect.catch((error) =>
      error._tag === "Refused"
        ? Effect.as(Console.error(`breakwater ${error.command}: ${error.issue}`), 1)
        // The help and the mistake have been printed.
        : Effect.succeed(2)
    ),
    Effect.provide(Layer.merge(Platform.layer, Usage.layer))
  )
