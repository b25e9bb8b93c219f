/** Libraries that a user of promises would choose instead, each composed as in its readme. */
import {
  bulkhead,
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleAll,
  type IPolicy,
  retry,
  SamplingBreaker,
  timeout,
  TimeoutStrategy,
  wrap
} from "cockatiel"
import { createRequire } from "node:module"
import pLimit from "p-limit"
import pRetry from "p-retry"
import pTimeout from "p-timeout"

export const settings =
  "cockatiel: `wrap(retry, circuitBreaker, timeout, bulkhead)`, the readme's order: 3 retries with `ExponentialBackoff` " +
  "from 500 ms, `SamplingBreaker` (0.5 over 30 s), `bulkhead(64, 64)`, `timeout(3000)` once `Cooperative` (it waits for " +
  "a function that does not look at its signal) and once `Aggressive` (it does not wait; that is what ours does). It has " +
  "neither rate limit nor metrics.\n\n" +
  "opossum: `timeout` 3000, `errorThresholdPercentage` 50, `resetTimeout` 5000, `capacity` 64; it has no retry, no rate " +
  "limit, and counts into its own status.\n\n" +
  "p-limit(64) around p-retry (3 retries from 500 ms, `randomize`) around p-timeout (3000); they have no breaker, no rate " +
  "limit, no metrics."

const cockatielRetry = () =>
  retry(handleAll, { maxAttempts: 3, backoff: new ExponentialBackoff({ initialDelay: 500 }) })

const cockatielBreaker = () =>
  circuitBreaker(handleAll, {
    halfOpenAfter: 5_000,
    breaker: new SamplingBreaker({ threshold: 0.5, duration: 30_000 })
  })

export const cockatiel = (strategy: "Cooperative" | "Aggressive"): IPolicy =>
  wrap(cockatielRetry(), cockatielBreaker(), timeout(3_000, TimeoutStrategy[strategy]), bulkhead(64, 64))

/** With its default, no pause between attempts, and with a breaker that never opens. */
export const cockatielEager = (retries: number): IPolicy =>
  wrap(
    retry(handleAll, { maxAttempts: retries }),
    circuitBreaker(handleAll, { halfOpenAfter: 5_000, breaker: new ConsecutiveBreaker(Infinity) }),
    timeout(3_000, TimeoutStrategy.Cooperative),
    bulkhead(64, 64)
  )

/** A breaker that is open and stays so. */
export const openCockatiel = async (): Promise<IPolicy> => {
  const breaker = circuitBreaker(handleAll, { halfOpenAfter: 3_600_000, breaker: new ConsecutiveBreaker(1) })
  await breaker.execute(() => Promise.reject(new Error("busy"))).catch(() => {})
  return breaker
}

/** The part of opossum that is used; it brings no types. */
interface OpossumBreaker {
  fire(): Promise<unknown>
  open(): void
}
type Opossum = new(work: () => Promise<unknown>, options: Readonly<Record<string, unknown>>) => OpossumBreaker
const require = createRequire(import.meta.url)
const Opossum = require("opossum") as Opossum

export const opossum = (work: () => Promise<unknown>): OpossumBreaker =>
  new Opossum(work, { timeout: 3_000, errorThresholdPercentage: 50, resetTimeout: 5_000, capacity: 64 })

export const openOpossum = (): OpossumBreaker => {
  const breaker = new Opossum(() => Promise.resolve(), { timeout: 3_000, resetTimeout: 3_600_000 })
  breaker.open()
  return breaker
}

export const promises = (work: () => Promise<unknown>): () => Promise<unknown> => {
  const limit = pLimit(64)
  return () =>
    limit(() =>
      pRetry(() => pTimeout(work(), { milliseconds: 3_000 }), { retries: 3, minTimeout: 500, randomize: true })
    )
}
