/** Recovery of a vendor while a thousand callers wait for it. The run shows whether their return brings it down again. */
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import * as cockatiel from "cockatiel"
import { draw } from "../Plot.ts"
import type { Findings } from "../Suite.ts"
import { compared } from "./compared.ts"
import {
  attemptMillis,
  cockatielBreaker,
  type Contender,
  effectBreaker,
  opossumBreaker,
  stackCaller
} from "./Contender.ts"
import { means, recoveredAfter, type Second, Seconds } from "./Seconds.ts"
import { SimulatedVendor, within } from "./SimulatedVendor.ts"
import { styles } from "./styles.ts"
import { inVirtualTime, pause } from "./VirtualTime.ts"

/**
 * Dead for a minute. Then it is cold: a call takes 500 ms at first, and 50 ms when it is warm. With more than 200 calls
 * inside it goes down for ten seconds more, and is cold again.
 */
const outage = {
  callers: 1_000,
  thinkMillis: 1_000,
  deadSeconds: 60,
  coldMillis: 500,
  warmMillis: 50,
  warmAfterCalls: 500,
  mostInside: 200,
  relapseSeconds: 10,
  seconds: 120
}

interface Recovered {
  readonly seconds: ReadonlyArray<Second>
  /** Number of relapses. */
  readonly relapses: number
}

const breakerOnly: Contender = {
  name: "Breakwater, breaker only",
  settings: "`bulkhead: false, retry: false`, else the defaults",
  make: () => stackCaller({ bulkhead: false, retry: false }),
  remembers: true
}

const whole: Contender = {
  name: "Breakwater",
  settings: "the defaults: a breaker with probes 1, 4, 16, open for 5 s each time; bulkhead 64 + 64",
  make: () => stackCaller(),
  remembers: true
}

const cockatielAlone: Contender = {
  name: "cockatiel",
  settings: "the breaker of its readme: 5 failures in a row, 10 s, one probe for which the others wait",
  make() {
    const policy = cockatielBreaker()
    return (ask) => policy.execute(() => ask())
  },
  remembers: true
}

const cockatielBulkhead: Contender = {
  name: "cockatiel + bulkhead",
  settings: "the same within `bulkhead(64, 64)`",
  make() {
    const policy = cockatiel.wrap(cockatiel.bulkhead(64, 64), cockatielBreaker())
    return (ask) => policy.execute(() => ask())
  },
  remembers: true
}

const opossum = (name: string, settings: string, capacity?: number): Contender => ({
  name,
  settings,
  make() {
    const breaker = opossumBreaker(capacity)
    return (ask) => breaker.fire(ask)
  },
  remembers: true
})

const breakers: ReadonlyArray<Contender> = [
  opossum("opossum", "its defaults: half of 10 s failed, open for 30 s, one probe"),
  opossum("opossum, capacity 64", "the same with `capacity: 64`", 64),
  cockatielAlone,
  cockatielBulkhead,
  effectBreaker,
  breakerOnly,
  whole
]

/** Outages beside the one in the picture: the moment of recovery within a breaker's pause is luck. */
const otherOutages = [45, 71]

const recovered = (
  contender: Contender,
  deadSeconds = outage.deadSeconds,
  end = outage.seconds
): Promise<Recovered> =>
  inVirtualTime(async () => {
    const seconds = new Seconds(end)
    let deadUntil = deadSeconds
    let servedSince = 0
    let relapses = 0
    const isDead = () => seconds.since() < deadUntil
    const vendor = new SimulatedVendor({
      serviceMillis: () =>
        isDead()
          ? 20
          : outage.warmMillis +
            (outage.coldMillis - outage.warmMillis) * Math.max(0, 1 - servedSince / outage.warmAfterCalls),
      fails() {
        if (!isDead()) servedSince++
        return isDead()
      }
    })
    const reached = within(attemptMillis, vendor.ask)
    const ask = () => {
      seconds.count("attempts")
      const answer = reached()
      if (!isDead() && vendor.inside > outage.mostInside) {
        relapses++
        servedSince = 0
        deadUntil = seconds.since() + outage.relapseSeconds
      }
      return answer
    }
    const caller = contender.make()
    const random = seededRandom(3)
    const live = async () => {
      await pause(random() * outage.thinkMillis)
      for (;;) {
        seconds.count("calls")
        await caller(ask).then(() => seconds.count("answered"), () => {})
        await pause((0.5 + random()) * outage.thinkMillis)
      }
    }
    for (let i = 0; i < outage.callers; i++) void live()
    await pause(end * 1_000)
    return { seconds: seconds.all(), relapses }
  })

export const measure = async (quick: boolean): Promise<Findings> => {
  const runs = new Array<Recovered & { readonly contender: Contender }>()
  for (const contender of quick ? breakers.slice(-2) : breakers) {
    runs.push({ contender, ...await recovered(contender) })
  }
  const ours = runs.find(({ contender }) => contender === whole)!
  const longest = outage.seconds - outage.deadSeconds
  const after = ({ seconds }: Recovered) => recoveredAfter(seconds, outage.deadSeconds)
  const worst = new Map<Contender, number>()
  for (const run of runs) {
    let most = after(run) ?? longest
    if (most === longest) continue
    for (const dead of quick ? [] : otherOutages) {
      const { seconds } = await recovered(run.contender, dead, dead + 45)
      most = Math.max(most, recoveredAfter(seconds, dead) ?? longest)
    }
    worst.set(run.contender, most)
  }
  const knocks = ({ seconds }: Recovered) =>
    seconds.slice(10, outage.deadSeconds).reduce((sum, { attempts }) => sum + attempts, 0)
  const told = (run: Recovered & { readonly contender: Contender }) => {
    const back = after(run)
    return `- ${run.contender.name}: ${run.contender.settings}. ${
      back === undefined
        ? `Not back after ${longest} s`
        : `Back after ${back} s (${worst.get(run.contender)} s at the worst)`
    }, felled ${run.relapses} times, ${
      knocks(run)
    } attempts at the dead vendor from second 10 to ${outage.deadSeconds}.`
  }
  return {
    rows: runs.filter((run) => run !== ours).map((run) =>
      compared(
        `a vendor comes back to ${outage.callers} waiters, until nine calls in ten are answered for good, against ${run.contender.name}`,
        `s, ${longest} at most`,
        worst.get(whole) ?? longest,
        worst.get(run.contender) ?? longest
      )
    ),
    notes: [
      `**A breaker before a thousand waiters.** ${outage.callers} callers in one process each call about once a second. The vendor is dead for ${outage.deadSeconds} s. Then it is cold: a call takes ${outage.coldMillis} ms at first and ${outage.warmMillis} ms after ${outage.warmAfterCalls} answers. With more than ${outage.mostInside} calls inside it goes down for ${outage.relapseSeconds} s, and is cold again. A breaker notices the recovery when its pause ends, which is a matter of luck: for contenders that recovered, the table has the worst of outages of ${
        [...otherOutages, outage.deadSeconds].toSorted((a, b) => a - b).join(", ")
      } s.`,
      runs.toReversed().map(told).join("\n"),
      "A limit on concurrent calls lets the vendor recover. A breaker alone, ours or another, brings it down again and again, because a thousand calls follow at once when it closes."
    ],
    pictures: [{
      file: "recovery",
      caption:
        "A vendor recovers while a thousand callers wait for it: calls that it answers, and attempts that reach it.",
      svg: draw({
        styles,
        panels: [
          {
            title: "Calls that are answered",
            x: { label: "time (s)", from: 0, to: outage.seconds },
            y: { label: "answers per second", from: 0, to: 1_200 },
            span: { from: 0, to: outage.deadSeconds, label: "vendor dead" },
            series: runs.toReversed().map(({ contender: { name }, seconds }) => ({
              name,
              points: means(seconds, "answered", 2)
            }))
          },
          {
            title: "Load on the vendor",
            x: { label: "time (s)", from: 0, to: outage.seconds },
            y: { label: "attempts per second (log)", scale: "log", from: 0.3, to: 1_500 },
            span: { from: 0, to: outage.deadSeconds, label: "vendor dead" },
            series: runs.toReversed().map(({ contender: { name }, seconds }) => ({
              name,
              points: means(seconds, "attempts", 5)
            }))
          }
        ]
      })
    }]
  }
}
