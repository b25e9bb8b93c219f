/** Cost of a healthy call with one vendor, operation and key, and with very many. */
import { Stack } from "@breakwater/core"
import { Effect, Exit } from "effect"
import type { Contender } from "../compare.ts"

const policy = { bulkhead: {}, rateLimit: { limit: 1_000_000_000 }, breaker: {}, retry: {}, retryBudget: {} }

export interface Many {
  readonly vendors: number
  readonly operations: number
  readonly keys: number
}

/** Calls every operation of every vendor under every key in turn. */
export const contender = (name: string, { keys, operations, vendors }: Many): Contender => {
  const success = Exit.succeed(1)
  const calls = Array.from(
    { length: vendors },
    (_, vendor) =>
      Array.from(
        { length: operations },
        (_, operation) =>
          Stack.make({ vendor: `vendor-${vendor}`, operation: `operation-${operation}`, safety: "Idempotent", policy })
      )
  ).flat().flatMap((stack) =>
    Array.from({ length: keys }, (_, key) =>
      stack.call<number, never>((attempt) => {
        attempt.answer(success)
        return () => undefined
      }, { key: `tenant-${key}` }))
  )
  return {
    name,
    run: (times) =>
      Effect.runPromise(
        Effect.gen(function*() {
          for (let index = 0; index < times; index++) yield* calls[index % calls.length]!
        }).pipe(Effect.orDie)
      )
  }
}
