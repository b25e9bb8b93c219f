/** A thread that listens, and accepts no connection until its gate is opened: it does nothing at all until then. */
import { connect, createServer } from "node:net"
import { parentPort, workerData } from "node:worker_threads"

const { behind, gate, host, port } = workerData as {
  readonly gate: Int32Array
  readonly host: string
  readonly port: number
  readonly behind: number
}

const server = createServer((socket) => {
  const next = connect(behind, "127.0.0.1")
  for (const [from, to] of [[socket, next], [next, socket]] as const) {
    from.on("error", () => to.destroy()).pipe(to)
  }
})
server.listen({ host, port, backlog: 1 }, () => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
  parentPort!.postMessage("listening")
  Atomics.wait(gate, 0, 0)
})
