/** A cache store that the processes of a test share. A test makes it slow, takes it down, or gives it another clock. */
import type { Store } from "@breakwater/core/fleet/Store"
import { Effect } from "effect"

export interface AnswerStore {
  readonly state: {
    isDown: boolean
    /** How long every request takes, in milliseconds. */
    takes: number
    readonly entries: Map<string, { readonly value: string; readonly until: number }>
    /** The keys that are being fetched, each with the end of the lead. */
    readonly leads: Map<string, number>
  }
  readonly store: Store
}

/** With `clock`, the store has a time of its own, as Redis has. */
export const make = (clock?: () => number): AnswerStore => {
  const state: AnswerStore["state"] = { isDown: false, takes: 0, entries: new Map(), leads: new Map() }
  const ask = <A>(answer: (now: number) => A): Effect.Effect<A, string> =>
    Effect.gen(function*() {
      yield* Effect.sleep(state.takes)
      if (state.isDown) return yield* Effect.fail("down")
      return answer(clock?.() ?? (yield* Effect.clockWith((clock) => clock.currentTimeMillis)))
    })
  const store: Store = {
    read: (key) =>
      ask((now) => {
        const entry = state.entries.get(key)
        return entry !== undefined && now < entry.until ? entry.value : undefined
      }),
    write: (key, value, millis) => ask((now) => void state.entries.set(key, { value, until: now + millis })),
    remove: (key) => ask(() => void state.entries.delete(key)),
    now: clock && ask((now) => now),
    lead: (key, millis) =>
      ask((now) => {
        const until = state.leads.get(key)
        if (until !== undefined && now < until) return undefined
        state.leads.set(key, now + millis)
        return ask(() => void state.leads.delete(key))
      })
  }
  return { state, store }
}
