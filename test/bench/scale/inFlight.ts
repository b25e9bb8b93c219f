/** Heap of a guarded call while it waits for its vendor. */
import { Stack } from "@breakwater/core"
import { Effect, Fiber } from "effect"
import { heapInUse } from "../heap.ts"

/** All policies; wide enough that none of them holds a call back. */
const policy = {
  deadline: "10 minutes",
  attemptTimeout: "10 minutes",
  connectTimeout: "10 minutes",
  bulkhead: { limit: 1_000_000 },
  rateLimit: { limit: 1_000_000 },
  breaker: {},
  retry: {},
  retryBudget: {}
} as const

export const settings =
  "breaker, attempt timeout, deadline, retry, retry budget, bulkhead and rate limit, with a key; the vendor does not answer, and the fibre of the caller is counted"

/** Bytes for each of so many calls, the fibre of the caller with it. */
export const bytesInFlight = async (calls: number): Promise<number> => {
  const stack = Stack.make({ vendor: "acme", operation: "rate", safety: "Idempotent", policy })
  return bytesOf(calls, stack.call(() => () => undefined, { key: "tenant" }))
}

/** The same of a fibre that waits for nothing. */
export const bytesOfFibres = (calls: number): Promise<number> => bytesOf(calls, Effect.never)

const bytesOf = async (calls: number, effect: Effect.Effect<unknown, unknown>): Promise<number> => {
  const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
  for (let index = 0; index < calls; index++) fibers[index] = Effect.runFork(Effect.never)
  await stop(fibers)
  const before = await heapInUse()
  for (let index = 0; index < calls; index++) fibers[index] = Effect.runFork(effect)
  const bytes = (await heapInUse() - before) / calls
  await stop(fibers)
  return bytes
}

const stop = async (fibers: Array<Fiber.Fiber<unknown, unknown>>) => {
  await Effect.runPromise(Fiber.interruptAll(fibers))
  fibers.fill(undefined as never)
}
