#!/usr/bin/env node
/**
 * The command `breakwater`. Its exit code is 0 on success, 1 for a command that failed, 2 for an invalid command line,
 * and 130 when stopped by a signal.
 */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import packageJson from "../package.json" with { type: "json" }
import * as Platform from "./Platform.ts"
import * as Secrets from "./secrets/Secrets.ts"
import * as Usage from "./Usage.ts"

const breakwater = Command.make("breakwater").pipe(
  Command.withDescription("The command of @breakwater/core"),
  Command.withSubcommands([Secrets.command])
)

const run = Command.runWith(breakwater, { version: packageJson.version })

const codeOf = (exit: Exit.Exit<void, Effect.Error<ReturnType<typeof run>>>): number => {
  if (Exit.isSuccess(exit)) return 0
  const reason = exit.cause.reasons[0]
  if (reason?._tag === "Interrupt") return 130
  if (reason?._tag !== "Fail") {
    process.stderr.write("breakwater: unexpected failure; nothing was changed\n")
    return 1
  }
  if (reason.error._tag !== "Refused") return 2
  process.stderr.write(`breakwater ${reason.error.command}: ${reason.error.issue}\n`)
  return 1
}

const fiber = Effect.runFork(Effect.provide(run(process.argv.slice(2)), Layer.merge(Platform.layer, Usage.layer)))
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  process.exitCode = codeOf(exit)
  process.stdin.destroy()
})
