/** Servers of this machine, for as long as a scope. */
import { Effect, type Scope } from "effect"
import type { AddressInfo, Server, Socket } from "node:net"

export interface Loopback {
  readonly port: number
  /** Connections that neither side has closed. */
  readonly open: () => number
}

/** Listens at a free port until the scope ends, and with it every connection; says whenever one has closed. */
export const listen = (
  server: Server,
  onClose = () => {},
  address = "127.0.0.1"
): Effect.Effect<Loopback, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    server.on("connection", (socket: Socket) => {
      sockets.add(socket)
      socket.once("close", () => {
        sockets.delete(socket)
        onClose()
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, address, () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    return { port: (server.address() as AddressInfo).port, open: () => sockets.size }
  })
