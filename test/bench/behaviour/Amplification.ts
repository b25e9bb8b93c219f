/** Load amplification: attempts that reach a failing vendor per call, for one service and for nested services. */
import { draw, percent } from "../Plot.ts"
import type { Findings } from "../Suite.ts"
import { compared } from "./compared.ts"
import {
  attemptMillis,
  axiosRetryDefault,
  breakwater,
  budgetOnly,
  type Caller,
  cockatielReadme,
  type Contender,
  effectRetry,
  gotModel,
  naive,
  opossumRetry,
  retriers
} from "./Contender.ts"
import { arrivals, type Ask, SimulatedVendor, VendorFailure, within } from "./SimulatedVendor.ts"
import { styles } from "./styles.ts"
import { inVirtualTime } from "./VirtualTime.ts"

interface Share {
  readonly failures: number
  /** Attempts reaching the vendor per call made. */
  readonly load: number
  /** The share of calls that failed. */
  readonly failed: number
}

interface Curve {
  readonly contender: Contender
  readonly alone: ReadonlyArray<Share>
  readonly nested: ReadonlyArray<Share>
}

const callsPerSecond = 100
const latencyMillis = 50

/** Calls through a number of services, each with the policy, at one failure rate. */
const amplification = (
  contender: Contender,
  failures: number,
  depth: number,
  calls: number,
  perSecond = callsPerSecond
): Promise<Share> =>
  inVirtualTime(async () => {
    const vendor = new SimulatedVendor({
      serviceMillis: () => latencyMillis,
      fails: ({ random }) => random() < failures
    })
    const services = Array.from({ length: depth }, () => contender.make())
    const ask = services.slice(1).reduce<Ask>(
      // A service whose own call failed answers as the vendor does.
      (inner, service) =>
        within(attemptMillis, () => service(inner).catch(() => Promise.reject(new VendorFailure(503)))),
      within(attemptMillis, vendor.ask)
    )
    const outermost: Caller = services[0]!
    let made = 0
    let failed = 0
    await arrivals({ perSecond: () => perSecond, millis: calls / perSecond * 1_000 }, () => {
      made++
      return outermost(ask).catch(() => {
        failed++
      })
    })
    return { failures, load: vendor.asked / made, failed: failed / made }
  })

const failureRates = [0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
const callRates = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
const contenders = [breakwater, budgetOnly, ...retriers.filter((retrier) => retrier !== breakwater)]
/** Contenders with as many attempts as another one in the picture: their lines would coincide. */
const undrawn: ReadonlyArray<Contender> = [axiosRetryDefault, effectRetry, gotModel]

/** Without a memory each call is as the next; and three times p-retry is 1,331 attempts a call, at a vendor or at a breaker. */
const nestedCalls = (contender: Contender, failures: number) => {
  if (contender === opossumRetry) return 500
  if (contender.remembers) return 2_000
  return failures === 1 ? 40 : failures >= 0.8 ? 100 : 500
}

export const measure = async (quick: boolean): Promise<Findings> => {
  const scale = quick ? 0.1 : 1
  const curves = new Array<Curve>()
  for (const contender of contenders) {
    const alone = new Array<Share>()
    const nested = new Array<Share>()
    for (const failures of undrawn.includes(contender) ? [0.3, 1] : failureRates) {
      alone.push(await amplification(contender, failures, 1, (contender.remembers ? 2_000 : 1_000) * scale))
      nested.push(await amplification(contender, failures, 3, nestedCalls(contender, failures) * scale))
    }
    curves.push({ contender, alone, nested })
  }
  const drawn = curves.filter(({ contender }) => !undrawn.includes(contender))
  const bySlowness = async (contender: Contender, depth: number) => {
    const points = []
    for (const perSecond of callRates) {
      const calls = Math.max(300, Math.min(4_000, 1_000 * perSecond)) * scale
      points.push({ x: perSecond, y: (await amplification(contender, 1, depth, calls, perSecond)).load })
    }
    return points
  }
  const few = {
    ours: await bySlowness(breakwater, 1),
    oursNested: await bySlowness(breakwater, 3),
    budget: await bySlowness(budgetOnly, 1),
    budgetNested: await bySlowness(budgetOnly, 3)
  }
  const at = (points: ReadonlyArray<{ readonly x: number; readonly y: number }>, x: number) =>
    points.find((point) => point.x === x)!.y
  const fivePercent = await amplification(breakwater, 0.05, 1, 20_000 * scale)
  const of = (contender: Contender) => curves.find((curve) => curve.contender === contender)!
  const dead = (contender: Contender) => ({
    alone: of(contender).alone.at(-1)!.load,
    nested: of(contender).nested.at(-1)!.load
  })
  const ours = dead(breakwater)
  const failedAt = (contender: Contender, failures: number) =>
    of(contender).alone.find((share) => share.failures === failures)!.failed
  const load = "attempts per call"
  return {
    rows: [
      compared("a dead vendor, asked per call made", load, ours.alone, 1, 1.11),
      compared("a dead vendor, asked per call made, three stacks nested", load, ours.nested, 1, 1.11),
      compared("5 % failures: load", load, fivePercent.load, 1, 1.06),
      compared("5 % failures: calls that fail, of one in a thousand", "failed share", fivePercent.failed, 0.001, 1),
      ...retriers.filter((contender) => contender !== breakwater).flatMap((contender) => [
        compared(`a dead vendor, against ${contender.name}`, load, ours.alone, dead(contender).alone),
        compared(`a dead vendor, three nested, against ${contender.name}`, load, ours.nested, dead(contender).nested)
      ]),
      compared(
        "30 % failures: calls that fail, against naive retry",
        "failed share",
        failedAt(breakwater, 0.3),
        failedAt(naive, 0.3)
      ),
      compared("a dead vendor, one call in 10 s, against naive retry", load, at(few.ours, 0.1), dead(naive).alone),
      compared(
        "a dead vendor, one call in 10 s, three nested, against naive retry",
        load,
        at(few.oursNested, 0.1),
        dead(naive).nested
      )
    ],
    notes: [
      `**Load amplification.** ${callsPerSecond} independent calls a second reach a vendor that answers after ${latencyMillis} ms and fails each attempt with the same probability. Nested: three services call each other in a row, each with the policy. Every transport gives up after 3 s. The settings are:`,
      contenders.map(({ name, settings }) => `- ${name}: ${settings}.`).join("\n"),
      `At ${percent(0.3)} of failures ours fails ${percent(failedAt(breakwater, 0.3))} of the calls and naive retry ${
        percent(failedAt(naive, 0.3))
      }, which is ahead there: our budget gives up calls instead of adding more than a tenth of load. Above half, the breaker gives up nearly all calls. cockatiel's breaker sends a dead vendor the fewest calls, because it opens after five failures in a row. At ${
        percent(0.3)
      }, where that happens by chance, it fails ${percent(failedAt(cockatielReadme, 0.3))} of the calls.`,
      `A dead vendor is asked ${few.budget.at(-1)!.y.toFixed(2)} times per call by the budget alone, and ${
        few.budgetNested.at(-1)!.y.toFixed(2)
      } times with three nested: there the breaker keeps the bar. Neither helps with few calls: the breaker needs 20 attempts in 30 s, and the budget grants a rare caller a retry every 10 s. At one call in 10 s a dead vendor is asked ${
        at(few.ours, 0.1).toFixed(2)
      } times per call, and ${at(few.oursNested, 0.1).toFixed(2)} times with three nested; at one call a second ${
        at(few.ours, 1).toFixed(2)
      } and ${at(few.oursNested, 1).toFixed(2)}.`
    ],
    pictures: [{
      file: "amplification",
      caption:
        "Effect of a vendor's failures: attempts that reach it per call, calls that fail nevertheless, and the same with few calls.",
      svg: draw({
        styles,
        panels: [
          {
            title: "One service: load on the vendor",
            x: { label: "attempts that fail", format: percent },
            y: { label: "attempts per call (log)", scale: "log", from: 0.003, to: 20 },
            series: drawn.map(({ alone, contender: { name } }) => ({
              name,
              points: alone.map(({ failures, load }) => ({ x: failures, y: load }))
            }))
          },
          {
            title: "One service: calls that fail",
            x: { label: "attempts that fail", format: percent },
            y: { label: "calls that fail", format: percent },
            series: drawn.map(({ alone, contender: { name } }) => ({
              name,
              points: alone.map(({ failed, failures }) => ({ x: failures, y: failed }))
            }))
          },
          {
            title: "Three services nested: load on the vendor",
            x: { label: "attempts that fail", format: percent },
            y: { label: "attempts per call (log)", scale: "log", from: 0.003, to: 2_000 },
            series: drawn.map(({ contender: { name }, nested }) => ({
              name,
              points: nested.map(({ failures, load }) => ({ x: failures, y: load }))
            }))
          },
          {
            title: "A dead vendor, by how often it is called",
            x: { label: "calls per second (log)", scale: "log" },
            y: { label: "attempts per call (log)", scale: "log", from: 0.003, to: 100 },
            line: { y: 1.11, label: "the bar, 1.11" },
            series: [
              { name: "Breakwater", points: few.ours },
              { name: "Breakwater, three nested", points: few.oursNested },
              { name: "Breakwater, no breaker", points: few.budget },
              { name: "no breaker, three nested", points: few.budgetNested }
            ]
          }
        ]
      })
    }]
  }
}
