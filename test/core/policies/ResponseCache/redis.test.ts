import type { Statistics } from "@breakwater/core/policies/ResponseCache"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as RealRedis from "../../../support/realRedis.ts"
import { json, serve } from "../../../support/scriptedServer.ts"

const script = fileURLToPath(new URL("../../../support/rateProcess.ts", import.meta.url))

interface Report extends Statistics {
  readonly failed: number
}

/** A process of its own that asks for rates. */
const start = (baseUrl: string, redisUrl: string) =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [script, baseUrl, redisUrl], { stdio: ["pipe", "pipe", "inherit"] })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const lines = createInterface({ input: child.stdout })
    /** The next line that begins like this; what else it prints is its log. */
    const next = (beginning: string) =>
      Effect.callback<string>((resume) => {
        const read = (line: string) => {
          if (!line.startsWith(beginning)) return
          lines.off("line", read)
          resume(Effect.succeed(line))
        }
        lines.on("line", read)
      }).pipe(Effect.timeoutOrElse({
        duration: "20 seconds",
        orElse: () => Effect.die(new Error(`a process says nothing that begins with ${beginning}`))
      }))
    yield* next("ready")
    return (pair: string, count: number) =>
      Effect.suspend(() => {
        child.stdin.write(`${JSON.stringify({ pair, count })}\n`)
        return Effect.map(next("{"), (line) => JSON.parse(line) as Report)
      })
  })

describe.runIf(RealRedis.isInstalled)("three processes that share a cache in Redis", () => {
  it.live(
    "make one call together, for ten thousand callers of a cold key; and go on when Redis is killed",
    () =>
      Effect.gen(function*() {
        const vendor = yield* serve(() => json({ rate: 1.0842 }))
        const redis = yield* RealRedis.start()
        const fleet = yield* Effect.forEach([1, 2, 3], () => start(vendor.baseUrl, redis.url), { concurrency: 3 })

        const cold = yield* Effect.forEach(fleet, (ask) => ask("EURUSD", 3_334), { concurrency: 3 })
        assert.strictEqual(vendor.seen.length, 1)
        assert.deepStrictEqual(cold.map(({ failed }) => failed), [0, 0, 0])
        assert.strictEqual(cold.reduce((sum, { shared }) => sum + shared, 0), 2)

        // What one knows the others need not ask for.
        yield* fleet[0]!("EURGBP", 1)
        yield* fleet[1]!("EURGBP", 1)
        assert.strictEqual(vendor.seen.length, 2)

        yield* redis.kill
        const lonely = yield* Effect.forEach(fleet, (ask) => ask("EURJPY", 100), { concurrency: 3 })
        assert.deepStrictEqual(lonely.map(({ failed }) => failed), [0, 0, 0])
        assert.strictEqual(vendor.seen.length, 2 + 3)
        assert.isTrue(lonely.every(({ bypassed }) => bypassed > 0))
      }),
    60_000
  )
})
