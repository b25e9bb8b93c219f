/** Effects of the policies on a vendor and on callers over minutes and hours, in virtual time. */
import * as Amplification from "../behaviour/Amplification.ts"
import * as Contention from "../behaviour/Contention.ts"
import * as Duplicates from "../behaviour/Duplicates.ts"
import * as Hedging from "../behaviour/Hedging.ts"
import * as Outages from "../behaviour/Outages.ts"
import * as Recovery from "../behaviour/Recovery.ts"
import * as RetryAfter from "../behaviour/RetryAfter.ts"
import * as Spike from "../behaviour/Spike.ts"
import type { Findings, Suite } from "../Suite.ts"

const experiments = [Amplification, RetryAfter, Duplicates, Spike, Outages, Recovery, Contention, Hedging]

export const suite: Suite = {
  title: "Behaviour",
  about:
    "Behaviour while a vendor is in trouble: the load that retries add, the vendor's recovery, the benefit of a hedge. " +
    "Simulations with fixed seeds in virtual time: the libraries run as they are published, while timers, clocks and `Math.random` are replaced. " +
    "All contenders meet the same vendor and the same calls.",
  async run({ quick }) {
    const all = new Array<Findings>()
    for (const { measure } of experiments) all.push(await measure(quick))
    return {
      rows: all.flatMap(({ rows }) => rows),
      notes: all.flatMap(({ notes }) => notes ?? []),
      pictures: all.flatMap(({ pictures }) => pictures ?? [])
    }
  }
}
