/** An entry of a cache: an answer or a declared error, with its time. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"

/** The stored part of an answer; for most answers it is the value alone. */
export type Kept<A, E> = A | Described<A> | Failed<E>

/** An answer with a validator or with tags. */
export class Described<A> {
  readonly value: A
  readonly validator: string | undefined
  readonly tags: ReadonlyArray<string>
  constructor(value: A, validator: string | undefined, tags: ReadonlyArray<string>) {
    this.value = value
    this.validator = validator
    this.tags = tags
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
    return kept instanceof Failed ? Exit.failCause(kept.cause) : Exit.succeed(valueOf(kept))
  }
  /** The known answer for a load; `undefined` when the entry is an error. */
  get answer() {
    const { bytes, kept } = this
    if (kept instanceof Failed) return undefined
    const { tags, validator } = kept instanceof Described ? kept : plain
    return { value: valueOf(kept), validator, bytes, tags }
  }
  /** Whether it may be served stale: an error may not. */
  get isAnswer(): boolean {
    return !(this.kept instanceof Failed)
  }
  get tags(): ReadonlyArray<string> {
    return this.kept instanceof Described ? this.kept.tags : plain.tags
  }
}

const plain: { readonly validator: string | undefined; readonly tags: ReadonlyArray<string> } = {
  validator: undefined,
  tags: []
}

const valueOf = <A>(kept: A | Described<A>): A => kept instanceof Described ? kept.value : kept
