/** Retries earlier than the vendor's `Retry-After`. */
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import type { Findings } from "../Suite.ts"
import { compared } from "./compared.ts"
import { type Contender, effectRetry, kyDefault, stackCaller, undici } from "./Contender.ts"
import { VendorFailure } from "./SimulatedVendor.ts"
import { inVirtualTime, pause } from "./VirtualTime.ts"

/** Ours with settings that retry every call: no budget, no breaker, a long deadline. */
const patient: Contender = {
  name: "Breakwater",
  settings: "no breaker, budget or bulkhead, a deadline of 5 minutes: so that all of them are retried",
  make: () => stackCaller({ breaker: false, retryBudget: false, bulkhead: false, deadline: "5 minutes" }),
  remembers: false
}

interface Earliness {
  readonly retries: number
  readonly early: number
  /** Retries that are earlier than an early timer explains. */
  readonly byMore: number
}

/**
 * Calls whose first attempt is rejected with a 429 or a 503 and a `Retry-After` of 0 to 60 s, and the number of second
 * attempts that begin before that.
 */
const earliness = (contender: Contender, calls: number, earlyMillis: number): Promise<Earliness> =>
  inVirtualTime(async () => {
    const random = seededRandom(5)
    let retries = 0
    let early = 0
    let byMore = 0
    const call = async () => {
      let notBefore: number | undefined
      await contender.make()(async () => {
        if (notBefore !== undefined) {
          if (retries++ >= calls) throw new Error("a call was retried more than once")
          if (performance.now() < notBefore) early++
          if (performance.now() < notBefore - 2) byMore++
          return
        }
        await pause(20)
        const seconds = Math.floor(random() * 61)
        notBefore = performance.now() + seconds * 1_000
        throw new VendorFailure(random() < 0.5 ? 429 : 503, seconds)
      })
    }
    await Promise.all(Array.from({ length: calls }, call))
    return { retries, early, byMore }
  }, { earlyMillis })

export const measure = async (quick: boolean): Promise<Findings> => {
  const calls = quick ? 1_000 : 10_000
  const ours = await earliness(patient, calls, 1)
  const runs = []
  for (const contender of [undici, kyDefault, effectRetry]) {
    runs.push({ contender, told: await earliness(contender, quick ? 100 : calls / 5, 1) })
  }
  return {
    rows: [compared(`retries earlier than Retry-After, of ${ours.retries}`, "retries", ours.early, 1, 0)],
    notes: [
      `**Retry-After.** The vendor rejects calls with a 429 or a 503 and a \`Retry-After\` of 0 to 60 s. Timers fire up to a millisecond early, as Node's do. Ours (${patient.settings}): ${ours.early} of ${ours.retries} retries were early. ${
        runs.map(({ contender, told }) =>
          `${contender.name}: ${told.byMore} of ${told.retries} early by more than a timer is`
        )
          .join("; ")
      }. (undici waits 30 s at most by default. The others wait as long as they are told, but trust the timer.)`
    ]
  }
}
