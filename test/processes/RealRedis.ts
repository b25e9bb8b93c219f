/** A real Redis on a free port, if it is installed. */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Requirements from "../setup/Requirements.ts"
import { patience } from "../watches/Patience.ts"

export const isInstalled = Requirements.isInstalled("redis", "redis-server")

export interface RealRedis {
  readonly url: string
  readonly port: number
  /** Ends it at once, as a power cut would. */
  readonly kill: Effect.Effect<void>
}

const freePort = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0)))
  })
})

/** Starts a server until the scope ends; at a port of its own, or at one that another has left. */
export const start = (port?: number): Effect.Effect<RealRedis, never, Scope.Scope> =>
  Effect.gen(function*() {
    const at = port ?? (yield* freePort)
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "breakwater-redis-"))),
      (path) => Effect.sync(() => rmSync(path, { recursive: true }))
    )
    const server = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn("redis-server", ["--port", String(at), "--bind", "127.0.0.1", "--save", "", "--dir", directory])
      ),
      (server) => killed(server)
    )
    yield* Effect.callback<void>((resume) => {
      let output = ""
      server.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString()
        if (output.includes("Ready to accept connections")) resume(Effect.void)
      })
      server.once("exit", () => resume(Effect.die(new Error(`redis-server did not start: ${output}`))))
    }).pipe(Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.die(new Error("redis-server hangs")) }))
    return { url: `redis://127.0.0.1:${at}`, port: at, kill: killed(server) }
  })

const killed = (server: ChildProcess): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (server.exitCode !== null || server.signalCode !== null) return resume(Effect.void)
    server.once("exit", () => resume(Effect.void))
    server.kill("SIGKILL")
  })
