/** Separate processes that share a vendor and a Redis, and make the calls that a test commands. */
import type { Statistics } from "@breakwater/core/caching/ResponseCache"
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { patience } from "../watches/Patience.ts"
import * as CompileCache from "./CompileCache.ts"

/** A command to a process. */
export interface Order {
  /** `calls`: so many at once. `load`: one after the other, until it is told to `rest`. */
  readonly is: "calls" | "load" | "rest"
  readonly operation: "rate" | "before" | "during" | "after" | "busy" | "frail"
  /** Of which pair the rate is asked. */
  readonly pair: string
  readonly count: number
}

export interface Ended {
  /** Counts of ended calls since the last question, by outcome: `Answered`, or the tag of a reason. */
  readonly counts: Readonly<Record<string, number>>
  /** Of the cache of `rate`. */
  readonly statistics: Statistics | undefined
}

export interface Member {
  readonly calls: (operation: Order["operation"], count: number, pair?: string) => Effect.Effect<Ended>
  readonly load: (operation: Order["operation"]) => Effect.Effect<void>
  readonly rest: Effect.Effect<Ended>
  /** Waits until its log says this, from now on. */
  readonly says: (words: string) => Effect.Effect<void>
}

const script = fileURLToPath(new URL("./FleetProcess.ts", import.meta.url))

/** Starts three processes, and ends them with the scope. */
export const start = (baseUrl: string, redisUrl: string): Effect.Effect<ReadonlyArray<Member>, never, Scope.Scope> =>
  Effect.forEach([1, 2, 3], () => startOne(baseUrl, redisUrl), { concurrency: "unbounded" })

const startOne = (baseUrl: string, redisUrl: string): Effect.Effect<Member, never, Scope.Scope> =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [script, baseUrl, redisUrl], {
          env: { ...process.env, ...CompileCache.environment },
          stdio: ["pipe", "pipe", "inherit"]
        })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const lines = createInterface({ input: child.stdout })
    const next = (words: string) =>
      Effect.callback<string>((resume) => {
        const read = (line: string) => {
          if (!line.includes(words)) return
          lines.off("line", read)
          resume(Effect.succeed(line))
        }
        lines.on("line", read)
      }).pipe(Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.die(new Error(`a process does not say ${words}`))
      }))
    yield* next("ready")
    const order = (given: Partial<Order>, answer: string) =>
      Effect.suspend(() => {
        child.stdin.write(`${JSON.stringify({ pair: "", count: 1, ...given })}\n`)
        return Effect.map(next(answer), (line) => JSON.parse(line.slice(answer.length)) as Ended)
      })
    return {
      calls: (operation, count, pair = "") => order({ is: "calls", operation, pair, count }, "ended"),
      load: (operation) => Effect.asVoid(order({ is: "load", operation }, "begun")),
      rest: order({ is: "rest" }, "ended"),
      says: (words) => Effect.asVoid(next(words))
    }
  })
