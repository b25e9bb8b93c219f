/** Structures with state per key, driven by hand without fibre or clock, so that only the state is measured. */
import type { Call, Gate } from "@breakwater/core/Gate"
import { answered } from "@breakwater/core/Outcome"
import * as Breaker from "@breakwater/core/policies/Breaker"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import { type Open, ours } from "../cache/contestants.ts"

/** One call for each key, which succeeds. */
export interface Subject {
  readonly name: string
  open(maxKeys: number): Promise<Open["each"]>
}

type OwnCall = { -readonly [Field in keyof Call]: Call[Field] }

/** A call that comes again and again, under other keys. */
const makeCall = (): OwnCall => ({
  vendor: "acme",
  operation: "rate",
  scope: "acme/rate",
  key: "",
  safety: "Idempotent",
  cost: 1,
  now: 0,
  deadline: Infinity,
  attempt: 1,
  priority: "Normal",
  random: Math.random
})

const ofGate = (name: string, make: (maxKeys: number) => Gate): Subject => ({
  name,
  async open(maxKeys) {
    const gate = make(maxKeys)
    const call = makeCall()
    const outcome = answered(1)
    return async (times, keyAt) => {
      for (let index = 0; index < times; index++) {
        call.key = keyAt(index)
        // A thousand calls in a second.
        call.now++
        const admission = gate.admit(call)
        if (admission._tag === "Permit") admission.settle(call, outcome)
      }
    }
  }
})

/** The key itself, which is not ours to count. */
const by = (call: Call) => call.key

export const subjects: ReadonlyArray<Subject> = [
  ofGate("breaker", (maxKeys) => Breaker.make({ by, maxKeys })),
  ofGate("rate limit, sliding window", (maxKeys) => RateLimit.make({ by, maxKeys, limit: 10 })),
  ofGate("rate limit, token bucket", (maxKeys) => RateLimit.make({ by, maxKeys, limit: 10, algorithm: "TokenBucket" })),
  {
    name: "cache",
    async open(maxKeys) {
      const cache = await ours.open(maxKeys, { isSlow: false, loads: 0 })
      return (times, keyAt) => cache.each(times, keyAt)
    }
  }
]
