/** Pauses of the event loop while very many callers enter a queue, wait in it, and leave it. */
import { type Policy, RateLimited, Stack } from "@breakwater/core"
import { Effect } from "effect"
import { type Span, watchCollector } from "./collector.ts"
import { waited } from "./waiting.ts"

export interface Crowd {
  readonly name: string
  readonly policy: (callers: number) => Policy.Policy
}

const patient = { deadline: "2 minutes", attemptTimeout: "1 minute", breaker: false, retry: false } as const
const maxWait = "1 minute"

export const crowds: ReadonlyArray<Crowd> = [
  { name: "bulkhead of 64", policy: (queue) => ({ ...patient, bulkhead: { limit: 64, queue, maxWait } }) },
  {
    name: "rate limit, 1000 in any 20 ms",
    policy: (queue) => ({
      ...patient,
      bulkhead: false,
      rateLimit: { limit: 1_000, window: "20 millis", queue, maxWait }
    })
  },
  {
    name: "rate limit, token bucket of 50 a millisecond",
    policy: (queue) => ({
      ...patient,
      bulkhead: false,
      rateLimit: { limit: 50_000, burst: 50, queue, maxWait, algorithm: "TokenBucket" }
    })
  }
]

/** The longest time until all callers have arrived, in milliseconds. */
const pauseMillis = 2_000
/** Number of callers, and of answers, per turn of the event loop. */
const slice = 16

export interface Pauses {
  /** Milliseconds of the longest turn of the event loop, without the time of the collector and of other processes. */
  readonly coming: number
  readonly leaving: number
  /** Milliseconds of the longest work of the collector. */
  readonly collecting: number
}

/**
 * Callers come a few in every turn and wait until all are there; then the vendor answers, a few in every turn as well: how
 * many answers a turn brings is the network's doing, and not the queue's.
 */
export const crowd = async ({ policy }: Crowd, callers: number): Promise<Pauses> => {
  const stack = Stack.make({ vendor: "acme", operation: "rate", safety: "Idempotent", policy: policy(callers) })
  const asked: Array<() => void> = []
  let isPaused = false
  const call = stack.call<void, never>((attempt) => {
    if (isPaused) asked.push(() => attempt.answer(success))
    else {
      // The vendor wants to hear nothing until all have come; a bulkhead does not care.
      isPaused = true
      attempt.fail(new RateLimited(429, { retryAfterMillis: pauseMillis }))
    }
    return () => undefined
  })
  const pulse = takePulse()
  const waiting = { callers: 0 }
  const leave = () => waiting.callers--
  for (let come = 0; come < callers;) {
    for (let index = 0; index < slice && come < callers; index++, come++) {
      waiting.callers++
      Effect.runFork(call).addObserver(leave)
    }
    await turn()
  }
  const coming = await pulse.longest()
  while (waiting.callers > 0) {
    for (const answer of asked.splice(-slice)) answer()
    await turn()
  }
  const leaving = await pulse.longest()
  pulse.stop()
  return { coming, leaving, collecting: pulse.collector.longest() }
}

const success = Effect.runSync(Effect.exit(Effect.void))

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

/** Watches every turn of the event loop. */
const takePulse = () => {
  const collector = watchCollector()
  let turns: Array<Span & { readonly waited: number }> = []
  let last = performance.now()
  let lastWaited = waited()
  let isRunning = true
  const beat = () => {
    const now = performance.now()
    const nowWaited = waited()
    if (now - last > 0.2) turns.push({ from: last, to: now, waited: nowWaited - lastWaited })
    last = now
    lastWaited = nowWaited
    if (isRunning) setImmediate(beat)
  }
  setImmediate(beat)
  return {
    collector,
    /** Milliseconds of the longest turn since the last reading. */
    async longest() {
      await collector.settled()
      const longest = turns.reduce((most, turn) => Math.max(most, collector.own(turn) - turn.waited), 0)
      turns = []
      return longest
    },
    stop() {
      isRunning = false
      collector.stop()
    }
  }
}
