/** Benefit of a second request with a vendor that is sometimes slow, and its cost while the vendor is always slow. */
import { Hedge, RetryBudget } from "@breakwater/core"
import { quantile } from "../compare.ts"
import { colours, draw, percent, type Style } from "../Plot.ts"
import type { Findings } from "../Suite.ts"
import { compared } from "./compared.ts"
import { stackCaller } from "./Contender.ts"
import { arrivals, SimulatedVendor } from "./SimulatedVendor.ts"
import { inVirtualTime } from "./VirtualTime.ts"

interface Hedged {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  /** Attempts per call, less the first. */
  readonly added: number
}

const perSecond = 200

/** 98 % of the answers take 10 ms give or take 2, and 2 % of them 1 s. */
const sometimesSlow = (random: () => number) => random() < 0.02 ? 1_000 : 8 + 4 * random()

interface HedgeSetting {
  readonly hedge: Hedge.HedgeOptions | false
  /** @default the stack's */
  readonly retryBudget?: RetryBudget.RetryBudgetOptions | false | undefined
}

const tail = ({ hedge, retryBudget }: HedgeSetting, calls: number): Promise<Hedged> =>
  inVirtualTime(async () => {
    const vendor = new SimulatedVendor({ serviceMillis: ({ random }) => sometimesSlow(random) })
    const caller = stackCaller({ hedge, retryBudget })
    const took = new Array<number>()
    await arrivals({ perSecond: () => perSecond, millis: calls / perSecond * 1_000 }, async () => {
      const begin = performance.now()
      await caller(vendor.ask)
      took.push(performance.now() - begin)
    })
    return {
      p50: quantile(took, 0.5),
      p95: quantile(took, 0.95),
      p99: quantile(took, 0.99),
      p999: quantile(took, 0.999),
      added: vendor.asked / took.length - 1
    }
  })

/** Everything takes 300 ms from `from` to `to`. */
const brownout = { from: 60, to: 120, seconds: 180, millis: 300 }

interface BrownoutSlice {
  readonly second: number
  readonly calls: number
  readonly attempts: number
}

/** Calls and attempts in slices of five seconds. */
const inBrownout = ({ hedge, retryBudget }: HedgeSetting): Promise<ReadonlyArray<BrownoutSlice>> =>
  inVirtualTime(async () => {
    const begin = performance.now()
    const second = () => (performance.now() - begin) / 1_000
    const isSlow = () => second() >= brownout.from && second() < brownout.to
    const vendor = new SimulatedVendor({
      serviceMillis: ({ random }) => isSlow() ? brownout.millis : sometimesSlow(random)
    })
    const slices = Array.from({ length: brownout.seconds / 5 }, (_, at) => ({ second: at * 5, calls: 0, attempts: 0 }))
    const caller = stackCaller({ hedge, retryBudget, bulkhead: false })
    await arrivals({ perSecond: () => perSecond, millis: brownout.seconds * 1_000 }, async (since) => {
      const slice = slices[Math.floor(since / 5_000)]!
      slice.calls++
      await caller(() => {
        slice.attempts++
        return vendor.ask()
      })
    })
    return slices
  })

const bounded = "fixed delay, our budget of 10 %"
const unbounded = "fixed delay, no budget"
const learnt = "quantile 0.95, budget 10 % (our hedge's defaults)"
const none = "no hedge"
const styles: Readonly<Record<string, Style>> = {
  [learnt]: { colour: colours.blue, width: 3 },
  [bounded]: { colour: colours.blue, dash: "6 3", width: 2 },
  [unbounded]: { colour: colours.red },
  [none]: { colour: colours.grey }
}

const delays = [5, 8, 9, 10, 11, 12, 14, 20, 50, 100, 200, 500, 1_000]

export const measure = async (quick: boolean): Promise<Findings> => {
  const calls = quick ? 1_000 : 10_000
  const without = await tail({ hedge: false }, calls)
  const ours = await tail({ hedge: {} }, calls)
  const sweep = async (retryBudget?: false) => {
    const found = new Array<Hedged & { readonly delay: number }>()
    for (const delay of delays) {
      found.push({ delay, ...await tail({ hedge: { after: delay }, retryBudget }, calls) })
    }
    return found
  }
  const withBudget = await sweep()
  const withoutBudget = await sweep(false)
  const brown = async (setting: HedgeSetting) => {
    const slices = await inBrownout(setting)
    const points = slices.map(({ attempts, calls, second }) => ({ x: second + 2.5, y: attempts / calls }))
    const during = slices.filter(({ second }) => second >= brownout.from && second < brownout.to)
    const total = (of: (slice: BrownoutSlice) => number) => during.reduce((sum, slice) => sum + of(slice), 0)
    return { points, load: total(({ attempts }) => attempts) / total(({ calls }) => calls) }
  }
  const brownOurs = await brown({ hedge: {} })
  const brownBounded = await brown({ hedge: { after: 20 } })
  const brownUnbounded = await brown({ hedge: { after: 20 }, retryBudget: false })
  const at = (found: ReadonlyArray<Hedged & { readonly delay: number }>, delay: number) =>
    found.find((one) => one.delay === delay)!
  const points = (found: ReadonlyArray<Hedged & { readonly delay: number }>, of: (hedged: Hedged) => number) =>
    found.map((one) => ({ x: one.delay, y: of(one) }))
  const level = (y: number) => [{ x: delays[0]!, y }, { x: delays.at(-1)!, y }]
  const byDelay = (of: (hedged: Hedged) => number) => [
    { name: learnt, points: level(of(ours)) },
    { name: bounded, points: points(withBudget, of) },
    { name: unbounded, points: points(withoutBudget, of) },
    { name: none, points: level(of(without)) }
  ]
  const delay = { label: "delay of the hedge (ms, log)", scale: "log" } as const
  return {
    rows: [
      compared("hedge: p99 of a vendor that is slow 2 times in 100, against no hedge", "ms", ours.p99, without.p99),
      compared("hedge: p50 of the same", "ms", ours.p50, without.p50),
      compared("hedge: attempts per call of the same", "attempts per call", 1 + ours.added, 1),
      compared(
        "hedge after 20 ms, attempts per call while everything is slow, against no budget",
        "attempts per call",
        brownBounded.load,
        brownUnbounded.load
      )
    ],
    notes: [
      `**Hedging.** ${perSecond} calls a second go to a vendor that takes 8 to 12 ms, and 1 s for 2 calls in 100. None of the peers hedges, so we compare with ourselves. Without a hedge p99 is ${
        without.p99.toFixed(0)
      } ms. Our defaults, which hedge after the measured 0.95 quantile, make it ${ours.p99.toFixed(0)} ms for ${
        percent(ours.added)
      } more load. A hedge before the usual answer spends its budget on calls that need none: after 8 ms p99 is ${
        at(withBudget, 8).p99.toFixed(0)
      } ms with the budget, ${at(withoutBudget, 8).p99.toFixed(0)} ms without, for ${
        percent(at(withoutBudget, 8).added)
      } more load. In the third panel every call takes ${brownout.millis} ms for a minute. A hedge after 20 ms without a budget doubles the load of a vendor in trouble (${
        brownUnbounded.load.toFixed(2)
      } attempts per call). The budget holds it at ${
        brownBounded.load.toFixed(2)
      }, and the quantile learns that slow is now usual (${brownOurs.load.toFixed(2)}).`
    ],
    pictures: [{
      file: "hedging",
      caption: "Benefit and cost of a hedge by its delay, and its load while the vendor is always slow.",
      svg: draw({
        styles,
        panels: [
          {
            title: "The tail",
            x: delay,
            y: { label: "p99 (ms, log)", scale: "log", from: 5, to: 2_000, ticks: [10, 30, 100, 300, 1_000] },
            series: byDelay(({ p99 }) => p99)
          },
          {
            title: "Its price",
            x: delay,
            y: { label: "load added", format: percent, from: 0, to: 1 },
            series: byDelay(({ added }) => added)
          },
          {
            title: "A minute in which every answer is slow",
            x: { label: "time (s)", from: 0, to: brownout.seconds },
            y: { label: "attempts per call", from: 0.8, to: 2.2 },
            span: { from: brownout.from, to: brownout.to, label: `all take ${brownout.millis} ms` },
            series: [
              { name: learnt, points: brownOurs.points },
              { name: bounded, points: brownBounded.points },
              { name: unbounded, points: brownUnbounded.points }
            ]
          }
        ]
      })
    }]
  }
}
