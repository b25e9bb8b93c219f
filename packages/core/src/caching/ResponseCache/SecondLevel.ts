/**
 * The second level of a cache, shared with other processes. The store behind it is bypassed while it is slow or down.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { FailOpen } from "../../fleet/FailOpen.ts"
import type { Store } from "../../fleet/Store.ts"
import type * as Timeline from "../../Timeline.ts"

/** An answer in its shared form. */
export interface Shared<A> {
  readonly value: A
  /** Unix time in milliseconds at which it was fetched. */
  readonly at: number
  readonly freshMillis: number
  readonly validator: string | undefined
  readonly bytes: number
  readonly tags: ReadonlyArray<string>
}

/** The encoding of answers in the store. */
export interface Codec<A> {
  encode(value: A): string
  /** Throws when the text is not a current answer of ours. */
  decode(text: string): A
}

export interface SecondLevelSettings {
  /** Distinguishes operations, and versions of their answers. */
  readonly prefix: string
  /** How long the store may take, in milliseconds. */
  readonly timeoutMillis: number
  /** How long the store is bypassed after a failure, in milliseconds. */
  readonly pauseMillis: number
  /** How long one process may fetch while others wait for it, in milliseconds. */
  readonly leadMillis: number
}

/** The process that fetches: this one, with an effect that reports the end, or another one. */
export type Lead = { readonly done: Effect.Effect<void> } | "AnotherLeads"

const nobodyElse: Lead = { done: Effect.void }

/** Decodes an answer as it stands in the store, which other programs may have written to. */
const decodeEnvelope = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({
  value: Schema.String,
  at: Schema.Finite,
  freshMillis: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  validator: Schema.optionalKey(Schema.String),
  bytes: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  tags: Schema.Array(Schema.String)
})))

export class SecondLevel<A> {
  private readonly store: Store
  private readonly codec: Codec<A>
  private readonly settings: SecondLevelSettings
  private readonly bypass: FailOpen

  constructor(store: Store, codec: Codec<A>, settings: SecondLevelSettings) {
    this.store = store
    this.codec = codec
    this.settings = settings
    this.bypass = new FailOpen({ ...settings, what: `the shared cache of ${settings.prefix}` })
  }

  /** Number of times the store was bypassed. */
  get bypassed(): number {
    return this.bypass.count
  }

  /** The shared answer of a key; `undefined` without a current one of ours. */
  read(timeline: Timeline.Timeline, key: string): Effect.Effect<Shared<A> | undefined> {
    return this.bypass.ask(
      timeline,
      Effect.map(Effect.suspend(() => this.store.read(this.name(key))), (text) => this.parse(text)),
      undefined
    )
  }
  /** Shares an answer for as long as any caller could accept it. */
  write(timeline: Timeline.Timeline, key: string, shared: Shared<A>, millis: number): Effect.Effect<void> {
    return this.bypass.ask(
      timeline,
      Effect.suspend(() => {
        const text = JSON.stringify({ ...shared, value: this.codec.encode(shared.value) })
        return this.store.write(this.name(key), text, millis)
      }),
      undefined
    )
  }
  remove(timeline: Timeline.Timeline, key: string): Effect.Effect<void> {
    return this.bypass.ask(timeline, Effect.suspend(() => this.store.remove(this.name(key))), undefined)
  }
  /** Takes the lead in fetching the answer of a key. */
  lead(timeline: Timeline.Timeline, key: string): Effect.Effect<Lead> {
    const { store } = this
    if (store.lead === undefined) return Effect.succeed(nobodyElse)
    const lead = Effect.suspend(() => store.lead!(this.name(key), this.settings.leadMillis))
    return this.bypass.ask(
      timeline,
      Effect.map(
        lead,
        (done): Lead => done === undefined ? "AnotherLeads" : { done: this.bypass.ask(timeline, done, undefined) }
      ),
      nobodyElse
    )
  }

  private name(key: string): string {
    return `${this.settings.prefix}/${key}`
  }

  private parse(text: string | undefined): Shared<A> | undefined {
    if (text === undefined) return undefined
    try {
      const { value, ...rest } = decodeEnvelope(text)
      return { ...rest, validator: rest.validator, value: this.codec.decode(value) }
    } catch {
      return undefined
    }
  }
}
