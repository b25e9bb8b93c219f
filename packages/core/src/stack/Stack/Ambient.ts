/**
 * What a call reads from the context of its fibre. A context never changes, and calls in a row mostly have the same one:
 * the last is remembered, which spares the healthy call the look-ups.
 */
import * as Context from "effect/Context"
import { Deadline } from "../../Deadline.ts"
import * as Timeline from "../../Timeline.ts"

export interface Ambient {
  readonly context: Context.Context<never>
  readonly timeline: Timeline.Timeline
  /** When whatever the call is a part of must be over; see {@link Deadline}. */
  readonly deadline: number
}

let last: Ambient | undefined

export const of = (context: Context.Context<never>): Ambient => {
  if (last === undefined || last.context !== context) {
    last = { context, timeline: Timeline.ofContext(context), deadline: Context.get(context, Deadline) }
  }
  return last
}
