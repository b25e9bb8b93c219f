/**
 * An address of this machine whose connections hang in TCP's handshake, because nobody accepts them and the queue of the
 * listener is full: Linux drops a SYN then, and repeats it after a second.
 */
import { Effect, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { connect } from "node:net"
import { Worker } from "node:worker_threads"
import { until } from "../watches/Until.ts"

/** Whether addresses such as 127.0.0.2 exist without a setup, and the kernel lists its connections. */
export const isPossible = process.platform === "linux"

export interface SlowAddress {
  /** Waits until a connection hangs, besides the one that proves that connections do. */
  readonly untilHanging: Effect.Effect<void>
  /** From now on connections are accepted, and lead to the port behind. */
  readonly accept: Effect.Effect<void>
}

/** Listens until the scope ends, at a port of an address such as 127.0.0.2. */
export const listen = (
  host: string,
  port: number,
  behind: number = port
): Effect.Effect<SlowAddress, never, Scope.Scope> =>
  Effect.gen(function*() {
    const gate = new Int32Array(new SharedArrayBuffer(4))
    yield* Effect.acquireRelease(
      Effect.callback<Worker>((resume) => {
        const worker = new Worker(new URL("../processes/DeafListener.ts", import.meta.url), {
          workerData: { gate, host, port, behind }
        })
        worker.once("message", () => resume(Effect.succeed(worker)))
        worker.once("error", (error) => resume(Effect.die(error)))
      }),
      (worker) => Effect.promise(() => worker.terminate())
    )
    // A backlog of 1 has room for two.
    for (let i = 0; i < 3; i++) {
      yield* Effect.acquireRelease(
        Effect.sync(() => connect(port, host).on("error", () => {})),
        (socket) => Effect.sync(() => socket.destroy())
      )
    }
    yield* until("the listener's queue is full", () => hanging(host, port) === 1)
    return {
      untilHanging: until("a connection hangs", () => hanging(host, port) > 1),
      accept: Effect.sync(() => {
        Atomics.store(gate, 0, 1)
        Atomics.notify(gate, 0)
      })
    }
  })

/** The connections to an address that have sent a SYN and heard nothing, as the kernel lists them. */
const hanging = (host: string, port: number): number => {
  const hex = (bytes: ReadonlyArray<number>) => Buffer.from(bytes).toString("hex").toUpperCase()
  const remote = `${hex(host.split(".").map(Number).reverse())}:${hex([port >> 8, port & 0xff])}`
  const lines = readFileSync("/proc/net/tcp", "utf8").split("\n").map((line) => line.trim().split(/\s+/))
  return lines.filter(([, , to, state]) => to === remote && state === "02").length
}
