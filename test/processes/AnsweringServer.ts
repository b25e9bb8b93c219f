/** A server in a process of its own that answers every request at once, so that the process under test can be blocked. */
import { Effect, type Scope } from "effect"
import { fork } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"

/** Starts the server, and returns its URL. */
export const start: Effect.Effect<string, never, Scope.Scope> = Effect.gen(function*() {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(fileURLToPath(import.meta.url), ["serve"])),
    (child) => Effect.sync(() => child.kill())
  )
  const port = yield* Effect.promise(() => new Promise<number>((resolve) => child.once("message", resolve as never)))
  return `http://127.0.0.1:${port}`
})

if (process.argv[2] === "serve") {
  const server = createServer((incoming, outgoing) => {
    incoming.resume()
    outgoing.writeHead(200, { "content-type": "application/json" }).end("{\"ok\":true}")
  })
  server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port))
  process.on("disconnect", () => process.exit(0))
}
