#!/usr/bin/env node
/** The process of `breakwater`. A signal stops the command, which cleans up and exits with 130. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Breakwater from "./Breakwater.ts"

const codeOf = (exit: Exit.Exit<number>): number => {
  if (Exit.isSuccess(exit)) return exit.value
  if (Cause.hasInterruptsOnly(exit.cause)) return 130
  process.stderr.write("breakwater: unexpected failure; nothing was changed\n")
  return 1
}

const fiber = Effect.runFork(Breakwater.run(process.argv.slice(2)))
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
  process.on(signal, () => fiber.interruptUnsafe())
}
fiber.addObserver((exit) => {
  process.exitCode = codeOf(exit)
  process.stdin.destroy()
})
