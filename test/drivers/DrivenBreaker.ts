/** A breaker that a test drives by hand: admissions, refusals, and the outcomes of admitted calls. */
import type { Permit, Refusal } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as Breaker from "@breakwater/core/policies/Breaker"
import { RateLimited, type Reason, RequestRejected, Timeout, Unavailable } from "@breakwater/core/Reason"
import { assert } from "@effect/vitest"
import { fakeCall } from "./FakeCall.ts"

/** Endings of a call. */
export const ending = {
  answer: Outcome.answered(10),
  failure: Outcome.failed(10, new Timeout("Headers", 10)),
  slow: Outcome.answered(100),
  slowFailure: Outcome.failed(100, new Timeout("Headers", 100)),
  comeBackLater: Outcome.failed(10, new Unavailable(503, { retryAfterMillis: 90_000 })),
  notFound: Outcome.failed(10, new RequestRejected(404)),
  interrupted: Outcome.abandoned(10),
  limited: Outcome.failed(10, new RateLimited(429, { retryAfterMillis: 90_000 }))
}
export type Ending = keyof typeof ending | "cancel"

/** A call that is slow takes at least this long, in all tests with these endings. */
export const slowCall = 100

/** Drives one breaker by hand: one call at a time, at any moment. */
export const drive = (options: Breaker.BreakerOptions = {}) => {
  const breaker = Breaker.make({ slowCall, ...options })
  const call = fakeCall({ now: 1_000, random: () => 0 })
  const ask = () => breaker.admit(call)
  const admit = (): Permit => {
    const admission = ask()
    assert.strictEqual(admission._tag, "Permit")
    return admission as Permit
  }
  const refusal = (): Reason => {
    const admission = ask()
    assert.strictEqual(admission._tag, "Refusal")
    return (admission as Refusal).reason
  }
  const end = (permit: Permit, how: Ending) => {
    if (how === "cancel") permit.cancel(call)
    else permit.settle(call, ending[how])
  }
  return {
    breaker,
    call,
    admit,
    refusal,
    end,
    /** Makes calls one after another that end like this. */
    make: (...endings: ReadonlyArray<Ending>) => endings.forEach((how) => end(admit(), how)),
    state: () => breaker.state("acme/charge", call.now),
    probing: () => breaker.probing("acme/charge")
  }
}

export const consecutive = (failures: number): Breaker.Trip => ({ _tag: "Consecutive", failures })
