/** Work that is done one after the other, in one fibre or in one async function, so that only the guard differs. */
import * as Effect from "effect/Effect"
import type { Contender } from "../compare.ts"

/** Runs an effect again and again in one fibre. */
export const effectLoop = <A, E>(name: string, effect: Effect.Effect<A, E>): Contender => ({
  name,
  run: (times) => {
    let left = times
    return Effect.runPromise(Effect.whileLoop({ while: () => left-- > 0, body: () => effect, step: () => {} }))
  }
})

/** Calls an async function again and again. */
export const promiseLoop = (name: string, call: () => Promise<unknown>): Contender => ({
  name,
  run: async (times) => {
    for (let left = times; left > 0; left--) await call()
  }
})

/** The same, for calls that are meant to fail. */
export const rejectionLoop = (name: string, call: () => Promise<unknown>): Contender =>
  promiseLoop(name, () => call().then(unexpected, ignored))

/** The same, for effects that are meant to fail. */
export const failureLoop = <A, E>(name: string, effect: Effect.Effect<A, E>): Contender =>
  effectLoop(name, Effect.matchEager(effect, { onSuccess: unexpected, onFailure: ignored }))

const ignored = (): void => {}

const unexpected = (): never => {
  throw new Error("a call succeeded that is meant to fail")
}
