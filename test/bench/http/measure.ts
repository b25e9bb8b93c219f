/** Measures clients under loads, against the first of them. */
import { Effect } from "effect"
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { compare, type Contender, quantile, rowOf } from "../compare.ts"
import type { Findings, Row } from "../Suite.ts"
import { type Client, type Kind, make } from "./clients.ts"

/** A load: the requested resource, and the number of concurrent calls. */
export interface Load {
  readonly kind: Kind
  readonly atOnce: number
  readonly says: string
  /** By peer. */
  readonly bars?: Readonly<Record<string, number>> | undefined
}

/** Compares the chosen clients; the first is ours. */
export const measure = (
  loads: ReadonlyArray<Load>,
  isChosen: (client: Client) => boolean,
  quick: boolean
): Promise<Findings> =>
  Effect.gen(function*() {
    const port = yield* server
    const clients = (yield* make(`http://127.0.0.1:${port}`)).filter(isChosen)
    const rows: Array<Row> = []
    const notes: Array<string> = []
    for (const load of loads) {
      const latencies = new Map(clients.map(({ name }) => [name, new Array<number>()]))
      const contenders = clients.map((client) => contender(client, load, latencies.get(client.name)!))
      const samples = yield* Effect.promise(() =>
        compare(contenders, quick ? { rounds: 3 } : { rounds: 9, batchMillis: 60 })
      )
      const [ours, ...peers] = samples
      for (const peer of peers) {
        const bar = load.bars?.[peer.name]
        rows.push(rowOf(`${load.says} : ${peer.name}`, ours!, peer, bar === undefined ? {} : { bar }))
      }
      notes.push([
        `${load.says}:`,
        "",
        "| client | requests a second | CPU a request | p50 | p99 |",
        "|---|--:|--:|--:|--:|",
        ...samples.map(({ cpu, name, wall }) => {
          const millis = (share: number) => `${quantile(latencies.get(name)!, share).toFixed(2)} ms`
          const perSecond = Math.round(1e9 / quantile(wall, 0.5))
          return `| ${name} | ${perSecond} | ${Math.round(quantile(cpu, 0.5) / 1_000)} µs | ${millis(0.5)} | ${
            millis(0.99)
          } |`
        })
      ].join("\n"))
    }
    notes.push(["Settings:", "", ...clients.map(({ name, settings }) => `- ${name}: ${settings}`)].join("\n"))
    return { rows, notes }
  }).pipe(Effect.scoped, Effect.runPromise)

/** The vendor's port. */
const server = Effect.acquireRelease(
  Effect.callback<{ readonly child: ReturnType<typeof fork>; readonly port: number }>((resume) => {
    const child = fork(fileURLToPath(new URL("../http/server.ts", import.meta.url)), { execArgv: [] })
    child.once("message", (port) => resume(Effect.succeed({ child, port: Number(port) })))
  }),
  ({ child }) => Effect.sync(() => child.kill())
).pipe(Effect.map(({ port }) => port))

/** A number of callers, each of which calls again as soon as it has its answer. */
const contender = ({ call, name }: Client, { atOnce, kind }: Load, latencies: Array<number>): Contender => {
  const probe = call(kind)
  if (probe instanceof Promise) probe.catch(() => {})
  return {
    name,
    run: async (times) => {
      let begun = 0
      const note = (at: number) => {
        if (latencies.length < 100_000) latencies.push(performance.now() - at)
      }
      const caller = Effect.isEffect(probe)
        ? () => {
          let at = 0
          return Effect.runPromise(Effect.whileLoop({
            while: () => begun++ < times,
            body: () => {
              at = performance.now()
              return call(kind) as Effect.Effect<unknown, unknown>
            },
            step: () => note(at)
          }))
        }
        : async () => {
          while (begun++ < times) {
            const at = performance.now()
            await call(kind)
            note(at)
          }
        }
      await Promise.all(Array.from({ length: Math.min(atOnce, times) }, caller))
    }
  }
}
