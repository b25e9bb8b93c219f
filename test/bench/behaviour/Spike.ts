/**
 * A spike of load on a vendor whose latency and failures grow with its load, and the time after it. Abandoned calls still
 * cost the vendor time. With enough retries it stays busy with abandoned work, long after the cause has gone. (Bronson et al., "Metastable Failures in Distributed Systems", HotOS
 * 2021.)
 */
import { draw } from "../Plot.ts"
import type { Findings } from "../Suite.ts"
import { compared } from "./compared.ts"
import {
  attemptMillis,
  axiosRetryDefault,
  breakwater,
  cockatielReadme,
  type Contender,
  effectRetry,
  gotModel,
  retriers
} from "./Contender.ts"
import { means, recoveredAfter, type Second, Seconds } from "./Seconds.ts"
import { arrivals, SimulatedVendor, within } from "./SimulatedVendor.ts"
import { styles } from "./styles.ts"
import { inVirtualTime, pause } from "./VirtualTime.ts"

/** Five processes, each with its own policy, before a vendor that can do 100 calls a second. */
const processes = 5
const vendorOptions = { servers: 5, serviceMillis: 50, queue: 1_000 }
const capacity = vendorOptions.servers * 1_000 / vendorOptions.serviceMillis
const usual = 70
const peak = 300
const spike = { from: 30, to: 50, end: 120 }
/** Lengths of the spike: the moment of a breaker's probe depends on it, so contenders that recover run with several. */
const lengths = [15, 20, 25, 30]

const spiked = (contender: Contender, length = spike.to - spike.from): Promise<ReadonlyArray<Second>> =>
  inVirtualTime(async () => {
    const vendor = new SimulatedVendor({
      servers: vendorOptions.servers,
      queue: vendorOptions.queue,
      // Around its mean, as long waits and short ones are: exponential.
      serviceMillis: ({ random }) => -Math.log(1 - random()) * vendorOptions.serviceMillis
    })
    const seconds = new Seconds(spike.end)
    const reached = within(attemptMillis, vendor.ask)
    const ask = () => {
      seconds.count("attempts")
      return reached()
    }
    const callers = Array.from({ length: processes }, () => contender.make())
    let turn = 0
    void arrivals({
      perSecond: (millis) => millis >= spike.from * 1_000 && millis < (spike.from + length) * 1_000 ? peak : usual,
      millis: spike.end * 1_000
    }, () => {
      seconds.count("calls")
      return callers[turn++ % callers.length]!(ask).then(() => seconds.count("answered"), () => {})
    })
    await pause(spike.end * 1_000)
    return seconds.all()
  })

/** Contenders that behave like another one in the picture. */
const undrawn: ReadonlyArray<Contender> = [axiosRetryDefault, effectRetry, gotModel]

export const measure = async (quick: boolean): Promise<Findings> => {
  const peers = retriers.filter((contender) => contender !== breakwater && !(quick && undrawn.includes(contender)))
  const runs = new Array<{ readonly contender: Contender; readonly seconds: ReadonlyArray<Second> }>()
  for (const contender of [breakwater, ...peers]) runs.push({ contender, seconds: await spiked(contender) })
  const ours = runs[0]!
  const longest = spike.end - spike.from - Math.max(...lengths)
  const after = ({ seconds }: { readonly seconds: ReadonlyArray<Second> }, length = spike.to - spike.from) =>
    recoveredAfter(seconds.slice(0, spike.from + length + longest), spike.from + length)
  const worst = new Map<Contender, number>()
  for (const contender of [breakwater, cockatielReadme]) {
    let most = 0
    for (const length of lengths) {
      most = Math.max(most, after({ seconds: await spiked(contender, length) }, length) ?? longest)
    }
    worst.set(contender, most)
  }
  const count = ({ seconds }: { readonly seconds: ReadonlyArray<Second> }, what: "calls" | "answered") =>
    seconds.slice(spike.from, spike.to).reduce((sum, second) => sum + second[what], 0)
  const lost = (run: { readonly seconds: ReadonlyArray<Second> }) => count(run, "calls") - count(run, "answered")
  const luckiest = runs.slice(1).reduce((best, run) => lost(run) < lost(best) ? run : best)
  const collapsed = runs.filter((run) => after(run) === undefined).map(({ contender }) => contender.name)
  const back = runs.filter((run) => after(run) !== undefined)
  const drawn = runs.filter(({ contender }) => !undrawn.includes(contender))
  return {
    rows: [
      ...runs.slice(1).map((run) =>
        compared(
          `a spike is over, until nine calls in ten are answered for good, against ${run.contender.name}`,
          `s, ${longest} at most`,
          worst.get(breakwater)!,
          worst.get(run.contender) ?? after(run) ?? longest
        )
      ),
      compared(
        `while the spike lasts, calls that fail, against ${luckiest.contender.name}`,
        "calls",
        lost(ours),
        lost(luckiest)
      )
    ],
    notes: [
      `**Recovery after a spike.** A vendor that can serve ${capacity} calls a second, one after the other from a queue of ${vendorOptions.queue}, is called ${usual} times a second by ${processes} processes, and ${peak} times from second ${spike.from} to ${spike.to}. A caller gives up after ${
        attemptMillis / 1_000
      } s, but the vendor still does the work. The settings are those of the load amplification.`,
      `${
        collapsed.join(", ")
      }: ${longest} s after the end of the spike the vendor is still down. Retries keep it down, or a breaker that closes lets all callers back at once. Back for good: ${
        back.map((run) => `${run.contender.name} after ${after(run)} s`).join(", ")
      } (axios-retry behaves like no retry, because it does not retry a timeout). The moment of a breaker's probe is a matter of luck: over spikes of ${
        lengths.join(", ")
      } s the longest is ${worst.get(breakwater)!} s for ours, which is what the table has, and ${worst.get(
        cockatielReadme
      )!} s for cockatiel.`,
      `During the spike every contender gets few answers, because none of them limits its own calls: of ${
        count(ours, "calls")
      } calls ours has ${count(ours, "answered")} answered, and the best, ${luckiest.contender.name}, ${
        count(luckiest, "answered")
      }.`
    ],
    pictures: [{
      file: "spike",
      caption:
        "A spike of twenty seconds and its aftermath: attempts that reach the vendor, and calls that it answers.",
      svg: draw({
        styles,
        panels: [
          {
            title: "Load on the vendor",
            x: { label: "time (s)", from: 0, to: spike.end },
            y: { label: "attempts per second (log)", scale: "log", from: 10, to: 3_000 },
            span: { from: spike.from, to: spike.to, label: "spike" },
            line: { y: capacity, label: "its limit", isLabelLeft: true },
            series: drawn.map(({ contender: { name }, seconds }) => ({ name, points: means(seconds, "attempts", 3) }))
          },
          {
            title: "Calls that are answered",
            x: { label: "time (s)", from: 0, to: spike.end },
            y: { label: "answers per second", from: 0, to: 120 },
            span: { from: spike.from, to: spike.to, label: "spike" },
            series: drawn.map(({ contender: { name }, seconds }) => ({ name, points: means(seconds, "answered", 3) }))
          }
        ]
      })
    }]
  }
}
