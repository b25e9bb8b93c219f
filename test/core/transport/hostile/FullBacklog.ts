/**
 * A port with a full backlog: its owner never accepts, and the kernel drops new connections. To a client
 * it is a black hole on its own machine.
 */
import { Effect, type Scope } from "effect"
import { connect, type Socket } from "node:net"
import { Worker } from "node:worker_threads"
import * as Watch from "../../../watches/Watch.ts"

/** Listens, reports its port, and blocks its thread. */
const owner = `
  const { parentPort, workerData } = require("node:worker_threads")
  const server = require("node:net").createServer()
  server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
    parentPort.postMessage(server.address().port)
    setImmediate(() => Atomics.wait(new Int32Array(workerData), 0, 0))
  })
`

export const fullBacklog: Effect.Effect<number, never, Scope.Scope> = Effect.gen(function*() {
  const asleep = new SharedArrayBuffer(4)
  const { changed, until } = Watch.make()
  let port = 0
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const worker = new Worker(owner, { eval: true, workerData: asleep })
      worker.once("message", (listening: number) => {
        port = listening
        changed()
      })
      return worker
    }),
    (worker) =>
      Effect.promise(() => {
        Atomics.store(new Int32Array(asleep), 0, 1)
        Atomics.notify(new Int32Array(asleep), 0)
        return worker.terminate()
      })
  )
  yield* until("the port is open", () => port !== 0)
  let connected = 0
  const sockets: Array<Socket> = []
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      for (let i = 0; i < 6; i++) {
        const socket = connect(port, "127.0.0.1", () => {
          connected++
          changed()
        })
        socket.on("error", () => {})
        sockets.push(socket)
      }
    }),
    () =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
      })
  )
  // Linux queues one more than the backlog.
  yield* until("the queue is full", () => connected >= 2)
  return port
})
