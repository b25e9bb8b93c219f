/**
 * Outages of a vendor: short, long, partial, silent, and ones that come back. The runs show who is answered after the
 * vendor's last recovery, alone and in a fleet, and how often the vendor is asked.
 */
import { SharedState } from "@breakwater/core/fleet"
import * as Breaker from "@breakwater/core/policies/Breaker"
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import * as Scope from "effect/Scope"
import { draw, percent } from "../Plot.ts"
import type { Findings } from "../Suite.ts"
import { compared } from "./compared.ts"
import {
  attemptMillis,
  breakwater,
  type Caller,
  cockatielReadme,
  type Contender,
  effectBreaker,
  naive,
  opossumRetry,
  stackCaller
} from "./Contender.ts"
import { means, type Second, Seconds } from "./Seconds.ts"
import { arrivals, VendorFailure, within } from "./SimulatedVendor.ts"
import { styles } from "./styles.ts"
import { after, inVirtualTime } from "./VirtualTime.ts"

export interface Outage {
  readonly name: string
  /** Its length in seconds, until the last recovery. */
  readonly seconds: number
  /** The share of attempts that fail, at a second since its begin. */
  readonly failing: (second: number) => number
  /** Whether failing attempts get no answer. @default they are rejected */
  readonly isSilent?: boolean
}

export const outages: ReadonlyArray<Outage> = [
  { name: "12 seconds", seconds: 12, failing: () => 1 },
  { name: "a minute", seconds: 60, failing: () => 1 },
  { name: "ten minutes", seconds: 600, failing: () => 1 },
  { name: "a minute without an answer", seconds: 60, failing: () => 1, isSilent: true },
  { name: "a minute for 60 % of the attempts", seconds: 60, failing: () => 0.6 },
  { name: "12 seconds of every 20, five times", seconds: 92, failing: (second) => second % 20 < 12 ? 1 : 0 }
]

/** The default deadline of ours: later answers do not count. */
const patienceMillis = 10_000

/** Seconds before an outage, from its end until calls count, and for how long they do. */
const [before, grace, counted] = [60, 10, 30]

/** The processes of a run: each calls for itself. */
export interface Party {
  readonly name: string
  readonly processes: number
  readonly settings: string
  readonly start: () => { readonly callers: ReadonlyArray<Caller>; readonly stop: () => void }
}

const alone = (contender: Contender): Party => ({
  name: contender.name,
  processes: 1,
  settings: contender.settings,
  start: () => ({ callers: [contender.make()], stop() {} })
})

/** Processes with a breaker each, which they share or not. */
export const processes = (count: number, isShared: boolean, options: Breaker.BreakerOptions = {}): Party => ({
  name: isShared ? `Breakwater, a fleet of ${count}` : `Breakwater, ${count} apart`,
  processes: count,
  settings: isShared ? `the same in ${count} processes that share their breaker in a store` : "the same, not shared",
  start() {
    const scope = Scope.makeUnsafe()
    const build = <A, R>(layer: Layer.Layer<A, never, R>) => Layer.buildWithScope(layer, scope)
    const stores = Effect.runSync(
      build(Layer.mergeAll(RateLimiter.layerStoreMemory, CircuitBreaker.layerStoreMemory()))
    )
    const callers = Array.from({ length: count }, () => {
      const breaker = Breaker.make(options)
      if (isShared) {
        const fleet = Effect.runSync(Effect.provideContext(build(SharedState.layer()), stores))
        Effect.runSync(Scope.provide(Effect.provideContext(breaker.share, fleet), scope))
      }
      return stackCaller({ breaker })
    })
    return { callers, stop: () => void Effect.runFork(Scope.close(scope, Exit.void)) }
  }
})

export interface Played {
  /** The share of the calls made later than ten seconds after the last recovery that were answered, in ten seconds. */
  readonly answered: number
  /** Attempts per call, over the whole run. */
  readonly load: number
  /** Seconds from the recovery until a call was answered. */
  readonly away: number
  readonly seconds: ReadonlyArray<Second>
}

/** Plays an outage against calls at a rate, for each process and second. */
export const play = (party: Party, outage: Outage, perSecond: number, seed: number): Promise<Played> =>
  inVirtualTime(async () => {
    const recovered = before + outage.seconds
    const end = recovered + grace + counted
    const seconds = new Seconds(end)
    const random = seededRandom(seed)
    let [attempts, calls, later, answered, away] = [0, 0, 0, 0, grace + counted]
    const ask = within(attemptMillis, () => {
      attempts++
      seconds.count("attempts")
      const second = seconds.since() - before
      const fails = second >= 0 && second < outage.seconds && random() < outage.failing(second)
      return new Promise<void>((resolve, reject) => {
        if (!fails) after(50, resolve)
        else if (outage.isSilent === true) after(2 * attemptMillis, resolve)
        else after(20, () => reject(new VendorFailure(503)))
      })
    })
    const { callers, stop } = party.start()
    await arrivals({ perSecond: () => perSecond * party.processes, millis: end * 1_000, seed }, (sinceMillis) => {
      calls++
      seconds.count("calls")
      const isLater = sinceMillis >= (recovered + grace) * 1_000
      if (isLater) later++
      const caller = callers[Math.floor(random() * callers.length)]!
      const madeAt = performance.now()
      const note = () => {
        if (performance.now() - madeAt > patienceMillis) return
        seconds.count("answered")
        if (isLater) answered++
        if (sinceMillis >= recovered * 1_000) away = Math.min(away, sinceMillis / 1_000 - recovered)
      }
      return caller(ask).then(note, () => {})
    })
    stop()
    return { answered: later === 0 ? 1 : answered / later, load: attempts / calls, away, seconds: seconds.all() }
  }, { seed })

/** The worst over all outages, each the mean of its runs. */
const worst = async (party: Party, perSecond: number, seeds: number) => {
  let [answered, load, away] = [1, 0, 0]
  for (const outage of outages) {
    const runs = new Array<Played>()
    for (let seed = 1; seed <= seeds; seed++) runs.push(await play(party, outage, perSecond, seed))
    const mean = (of: (run: Played) => number) => runs.reduce((sum, run) => sum + of(run), 0) / runs.length
    answered = Math.min(answered, mean((run) => run.answered))
    load = Math.max(load, mean((run) => run.load))
    away = Math.max(away, mean((run) => run.away))
  }
  return { x: perSecond, answered, load, away }
}

const ours = alone(breakwater)
const fleet = processes(5, true)
const peers = [cockatielReadme, opossumRetry, effectBreaker, naive].map(alone)

export const measure = async (quick: boolean): Promise<Findings> => {
  const rates = quick ? [1] : [0.1, 0.3, 1, 3, 10, 30, 100]
  const seeds = quick ? 1 : 4
  const shown = outages[4]!
  const runs = new Array<{
    readonly party: Party
    readonly points: ReadonlyArray<Awaited<ReturnType<typeof worst>>>
    readonly seconds: ReadonlyArray<Second>
  }>()
  for (const party of [ours, fleet, ...peers]) {
    const points = []
    for (const rate of rates) points.push(await worst(party, rate, rate > 10 ? 1 : seeds))
    const { seconds } = await play(party, shown, 20 / party.processes, 1)
    runs.push({ party, points, seconds })
  }
  const barred = ({ points }: typeof runs[number]) => points.filter(({ x }) => x >= 1)
  const missed = (run: typeof runs[number]) => Math.max(...barred(run).map(({ answered }) => 1 - answered))
  const load = (run: typeof runs[number]) => Math.max(...barred(run).map((point) => point.load))
  const away = (run: typeof runs[number]) => Math.max(...barred(run).map((point) => point.away))
  const [own, ownFleet, ...others] = runs
  return {
    rows: [
      ...[own!, ownFleet!].flatMap((run) => [
        compared(
          `outages, ${run.party.name}: calls later than 10 s after the last recovery that fail, of one in ten`,
          "failed share",
          missed(run),
          0.1,
          1
        ),
        compared(
          `outages, ${run.party.name}: the vendor is asked, per call made`,
          "attempts per call",
          load(run),
          1,
          1.11
        )
      ]),
      ...others.filter(({ party }) => party.name !== naive.name).map((run) =>
        compared(
          `outages: seconds from the last recovery until a call is answered, against ${run.party.name}`,
          "s",
          away(own!),
          away(run)
        )
      )
    ],
    notes: [
      `**Outages.** ${
        outages.map(({ name }) => name).join("; ")
      }. Before and after them the vendor answers each attempt in 50 ms. Calls are independent, at a rate for each process; the vendor is well for ${before} s before an outage. Calls count that are made between ${grace} and ${
        grace + counted
      } s after the last recovery, and as answered within ${
        patienceMillis / 1_000
      } s. Attempts per call are those of the whole run. Each figure is that of the worst outage, and in the table of the worst rate from one call a second on:`,
      runs.map((run) =>
        `- ${run.party.name}: ${run.party.settings}. ${percent(1 - missed(run))} answered, the first after ${
          away(run).toFixed(1)
        } s, ${load(run).toFixed(2)} attempts per call.`
      ).join("\n")
    ],
    pictures: [{
      file: "outages",
      caption: `An outage of ${shown.name}, at 20 calls a second, and the answers and attempts of all outages.`,
      svg: draw({
        styles,
        panels: [
          {
            title: `Answers, ${shown.name}`,
            x: { label: "time (s)", from: before - 20, to: before + shown.seconds + grace + counted },
            y: { label: "answers per second", from: 0, to: 25 },
            span: { from: before, to: before + shown.seconds, label: "outage" },
            series: runs.map(({ party: { name }, seconds }) => ({ name, points: means(seconds, "answered", 2) }))
          },
          {
            title: "Answers later than 10 s after the recovery",
            x: { label: "calls per second and process", scale: "log" },
            y: { label: "share answered, worst outage", from: 0, to: 1 },
            line: { y: 0.9, label: "nine in ten", isLabelLeft: true },
            series: runs.map(({ party: { name }, points }) => ({
              name,
              points: points.map(({ answered, x }) => ({ x, y: answered }))
            }))
          },
          {
            title: `Load, ${shown.name}`,
            x: { label: "time (s)", from: before - 20, to: before + shown.seconds + grace + counted },
            y: { label: "attempts per second (log)", scale: "log", from: 0.3, to: 200 },
            span: { from: before, to: before + shown.seconds, label: "outage" },
            series: runs.map(({ party: { name }, seconds }) => ({ name, points: means(seconds, "attempts", 2) }))
          },
          {
            title: "Load on the vendor",
            x: { label: "calls per second and process", scale: "log" },
            y: { label: "attempts per call, worst outage", from: 0 },
            line: { y: 1.11, label: "1.11" },
            series: runs.map(({ party: { name }, points }) => ({
              name,
              points: points.map(({ load: y, x }) => ({ x, y }))
            }))
          }
        ]
      })
    }]
  }
}
