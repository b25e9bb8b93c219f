/**
 * Times contenders against each other in one process: rounds are interleaved and their order is reversed every other
 * round, so that drift of the machine affects all alike. Ratios are taken within a round, and their median is reported.
 */
import type { Row } from "./Suite.ts"

export interface Contender {
  readonly name: string
  /** Does the work a number of times, one after the other or concurrently, as the contender is built. */
  readonly run: (times: number) => Promise<void> | void
}

export interface Samples {
  readonly name: string
  /** Per operation and round: nanoseconds of the main thread's CPU, and of the wall clock. */
  readonly cpu: ReadonlyArray<number>
  readonly wall: ReadonlyArray<number>
}

export interface CompareOptions {
  /** Measured rounds. @default 15 */
  readonly rounds?: number
  /** Milliseconds that one contender takes in a round. @default 40 */
  readonly batchMillis?: number
}

export const compare = async (
  contenders: ReadonlyArray<Contender>,
  options: CompareOptions = {}
): Promise<ReadonlyArray<Samples>> => {
  const rounds = options.rounds ?? 15
  const batchMillis = options.batchMillis ?? 40
  const samples = contenders.map(({ name }) => ({ name, cpu: new Array<number>(), wall: new Array<number>() }))
  const times = new Array<number>()
  for (const contender of contenders) times.push(await calibrate(contender, batchMillis))
  for (let round = 0; round < rounds; round++) {
    for (let place = 0; place < contenders.length; place++) {
      const index = round % 2 === 0 ? place : contenders.length - 1 - place
      const count = times[index]!
      globalThis.gc?.({ type: "minor", execution: "sync" })
      const cpuBefore = process.threadCpuUsage()
      const wallBefore = performance.now()
      await contenders[index]!.run(count)
      const wall = performance.now() - wallBefore
      const cpu = process.threadCpuUsage(cpuBefore)
      samples[index]!.cpu.push((cpu.user + cpu.system) * 1_000 / count)
      samples[index]!.wall.push(wall * 1_000_000 / count)
    }
  }
  return samples
}

/**
 * How often a contender can do its work in a batch, found while the engine warms up; the fastest batch counts, for the
 * first ones are of code that is not yet optimised, and any can be slowed down by others on the machine.
 */
const calibrate = async (contender: Contender, batchMillis: number): Promise<number> => {
  let times = 16
  let warmMillis = 0
  let perMilli = 0
  /** Consecutive batches that were long enough. A stalled one does not show the length of the others. */
  let inARow = 0
  while (warmMillis < 10 * batchMillis || inARow < 3) {
    const before = performance.now()
    await contender.run(times)
    const millis = performance.now() - before
    warmMillis += millis
    if (millis < batchMillis / 2) {
      times *= 2
      inARow = 0
    } else {
      perMilli = Math.max(perMilli, times / millis)
      inARow++
    }
  }
  return Math.max(1, Math.round(perMilli * batchMillis))
}

/** The row of two contenders: medians of both, and the median and middle half of the rounds' ratios. */
export const rowOf = (
  name: string,
  ours: Samples,
  peer: Samples,
  options: { readonly bar?: number; readonly of?: "cpu" | "wall" } = {}
): Row => {
  const of = options.of ?? "cpu"
  const ratios = ours[of].map((value, round) => value / peer[of][round]!)
  return {
    name,
    unit: of === "cpu" ? "ns CPU" : "ns",
    ours: quantile(ours[of], 0.5),
    peer: quantile(peer[of], 0.5),
    ratio: quantile(ratios, 0.5),
    spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    bar: options.bar
  }
}

/** The value that a share of the values is at or below; 0 of none. */
export const quantile = (values: ReadonlyArray<number>, share: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
}
