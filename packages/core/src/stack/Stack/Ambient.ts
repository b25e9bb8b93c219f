/**
 * The values that a call reads from the context of its fibre. A context never changes, and consecutive calls mostly
 * have the same one. The last is cached, which spares a healthy call the look-ups.
 */
import * as Context from "effect/Context"
import { Deadline } from "../../Deadline.ts"
import * as Timeline from "../../Timeline.ts"

export interface Ambient {
  readonly context: Context.Context<never>
  readonly timeline: Timeline.Timeline
  /** The deadline of the work that the call is a part of; see {@link Deadline}. */
  readonly deadline: number
}

let last: Ambient | undefined

export const of = (context: Context.Context<never>): Ambient => {
  if (last === undefined || last.context !== context) {
    last = { context, timeline: Timeline.ofContext(context), deadline: Context.get(context, Deadline) }
  }
  return last
}
