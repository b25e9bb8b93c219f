/** What a cache remembers under a key: an answer, or an error that is one, and since when. */
import type * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"

/** What is kept of an answer; of most answers it is their value alone. */
export type Kept<A, E> = A | Described<A> | Failed<E>

/** An answer that its vendor can be asked about, or that is about something. */
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

/** An error that is an answer. */
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
  /** Before this no background call is made again. */
  readonly quietUntil: number

  constructor(key: string, kept: Kept<A, E>, bytes: number, at: number, freshMillis: number, quietUntil = -Infinity) {
    this.key = key
    this.kept = kept
    this.bytes = bytes
    this.at = at
    this.freshMillis = freshMillis
    this.quietUntil = quietUntil
  }

  /** What a caller is given. */
  get exit(): Exit.Exit<A, E> {
    const { kept } = this
    return kept instanceof Failed ? Exit.failCause(kept.cause) : Exit.succeed(valueOf(kept))
  }
  /** What a load is told of the answer; `undefined` when it is an error. */
  get answer() {
    const { bytes, kept } = this
    if (kept instanceof Failed) return undefined
    const { tags, validator } = kept instanceof Described ? kept : plain
    return { value: valueOf(kept), validator, bytes, tags }
  }
  /** Whether it can be given when it is past its time: an error cannot. */
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
