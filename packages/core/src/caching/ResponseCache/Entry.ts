/** An entry of a cache: an answer or a declared error, with its time. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type { Fallback, Stale } from "../../Provenance.ts"
import * as Frozen from "./Frozen.ts"

/** The stored part of an answer; for most answers it is the value alone. */
export type Kept<A, E> = A | Described<A> | Failed<E>

/** The provenance of an answer that was stale, or from a fallback, when it was fetched. */
export type Origin = Stale | Fallback

/** An answer with more than its value: a validator, tags, an origin, or parts that each caller gets a copy of. */
export class Described<A> {
  readonly value: A
  readonly validator: string | undefined
  readonly tags: ReadonlyArray<string>
  readonly origin: Origin | undefined
  readonly isLoose: boolean
  constructor(
    value: A,
    validator: string | undefined,
    tags: ReadonlyArray<string>,
    origin: Origin | undefined,
    isLoose: boolean
  ) {
    this.value = value
    this.validator = validator
    this.tags = tags
    this.origin = origin
    this.isLoose = isLoose
  }
}

class Passing extends Context.Service<Passing, true>()("breakwater/caching/ResponseCache/Passing") {}

/** Marks a declared error as one that is never cached, because it says nothing lasting. */
export const passing = <E>(cause: Cause.Cause<E>): Exit.Exit<never, E> =>
  Exit.failCause(Cause.annotate(cause, Context.make(Passing, true)))

/** Whether a declared error is marked as {@link passing}. */
export const isPassing = (cause: Cause.Cause<unknown>): boolean =>
  Context.getOrUndefined(Cause.annotations(cause), Passing) === true

/** A declared error, which counts as an answer. */
export class Failed<E> {
  readonly cause: Cause.Cause<E>
  constructor(cause: Cause.Cause<E>) {
    this.cause = cause
  }
}

export class Entry<A, E> {
  readonly key: string
  readonly kept: Kept<A, E>
  readonly bytes: number
  /** When it was fetched, as all times here in elapsed time of the timeline. */
  readonly at: number
  readonly freshMillis: number
  /** The time before which no background call is repeated. */
  readonly quietUntil: number

  constructor(key: string, kept: Kept<A, E>, bytes: number, at: number, freshMillis: number, quietUntil = -Infinity) {
    this.key = key
    this.kept = kept
    this.bytes = bytes
    this.at = at
    this.freshMillis = freshMillis
    this.quietUntil = quietUntil
  }

  /** The result for a caller. */
  get exit(): Exit.Exit<A, E> {
    const { kept } = this
    if (kept instanceof Failed) return Exit.failCause(kept.cause)
    if (!(kept instanceof Described)) return Exit.succeed(kept)
    return Exit.succeed(kept.isLoose ? Frozen.copy(kept.value) : kept.value)
  }
  /** The known answer for a load; `undefined` when the entry is an error. */
  get answer() {
    const { bytes, kept } = this
    if (kept instanceof Failed) return undefined
    if (!(kept instanceof Described)) {
      return { value: kept, validator: undefined, bytes, tags: noTags, isLoose: false }
    }
    const { isLoose, tags, validator, value } = kept
    return { value, validator, bytes, tags, isLoose }
  }
  /** Whether it may be served stale: an error may not. */
  get isAnswer(): boolean {
    return !(this.kept instanceof Failed)
  }
  get tags(): ReadonlyArray<string> {
    return this.kept instanceof Described ? this.kept.tags : noTags
  }
  get origin(): Origin | undefined {
    return this.kept instanceof Described ? this.kept.origin : undefined
  }
}

const noTags: ReadonlyArray<string> = []
