/**
 * What a cache shares with other processes. The store behind it may be slow or down: then it is passed over for a while,
 * which is told once, and nobody waits for it or fails because of it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Timeline from "../../Timeline.ts"
import type { Store } from "../CacheStore.ts"

/** An answer, as it is shared. */
export interface Shared<A> {
  readonly value: A
  /** Unix time in milliseconds at which it was fetched. */
  readonly at: number
  readonly freshMillis: number
  readonly validator: string | undefined
  readonly bytes: number
  readonly tags: ReadonlyArray<string>
}

/** How answers travel to the store and back. */
export interface Codec<A> {
  encode(value: A): string
  /** Throws when the text is none of ours, or of another time. */
  decode(text: string): A
}

export interface SecondLevelSettings {
  /** What tells apart the operations, and the versions of what they answer. */
  readonly prefix: string
  /** How long the store may take. */
  readonly timeoutMillis: number
  /** How long it is passed over when it has failed. */
  readonly pauseMillis: number
  /** How long one process may fetch while others wait for it. */
  readonly leadMillis: number
}

/** Who fetches: this process, which says when it is done, or another one. */
export type Lead = { readonly done: Effect.Effect<void> } | "AnotherLeads"

/** In how many slices a store is waited for (ours). */
const slices = 5

const nobodyElse: Lead = { done: Effect.void }

export class SecondLevel<A> {
  /** How often the store was passed over. */
  bypassed = 0
  private readonly store: Store
  private readonly codec: Codec<A>
  private readonly settings: SecondLevelSettings
  private quietUntil = -Infinity
  private isDown = false

  constructor(store: Store, codec: Codec<A>, settings: SecondLevelSettings) {
    this.store = store
    this.codec = codec
    this.settings = settings
  }

  /** What is shared under a key; nothing when it is none of ours. */
  read(timeline: Timeline.Timeline, key: string): Effect.Effect<Shared<A> | undefined> {
    return this.bypassing(
      timeline,
      Effect.map(Effect.suspend(() => this.store.read(this.name(key))), (text) => this.parse(text)),
      undefined
    )
  }
  /** Shares an answer for as long as anybody may want it. */
  write(timeline: Timeline.Timeline, key: string, shared: Shared<A>, millis: number): Effect.Effect<void> {
    return this.bypassing(
      timeline,
      Effect.suspend(() => {
        const text = JSON.stringify({ ...shared, value: this.codec.encode(shared.value) })
        return this.store.write(this.name(key), text, millis)
      }),
      undefined
    )
  }
  remove(timeline: Timeline.Timeline, key: string): Effect.Effect<void> {
    return this.bypassing(timeline, Effect.suspend(() => this.store.remove(this.name(key))), undefined)
  }
  /** Takes the lead in fetching what is under a key. */
  lead(timeline: Timeline.Timeline, key: string): Effect.Effect<Lead> {
    const { store } = this
    if (store.lead === undefined) return Effect.succeed(nobodyElse)
    const lead = Effect.suspend(() => store.lead!(this.name(key), this.settings.leadMillis))
    return this.bypassing(
      timeline,
      Effect.map(
        lead,
        (done): Lead => done === undefined ? "AnotherLeads" : { done: this.bypassing(timeline, done, undefined) }
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
      const { at, bytes, freshMillis, tags, validator, value } = JSON.parse(text) as Shared<string>
      return { value: this.codec.decode(value), at, bytes, freshMillis, tags, validator }
    } catch {
      return undefined
    }
  }

  private bypassing<X, Y>(
    timeline: Timeline.Timeline,
    ask: Effect.Effect<X, unknown>,
    otherwise: Y
  ): Effect.Effect<X | Y> {
    return Effect.suspend((): Effect.Effect<X | Y> => {
      if (timeline.now() < this.quietUntil) {
        this.bypassed++
        return Effect.succeed(otherwise)
      }
      return Effect.flatMap(
        Effect.exit(Effect.raceFirst(ask, this.tooSlow)),
        (exit): Effect.Effect<X | Y> => {
          if (Exit.isSuccess(exit)) return Effect.as(this.recovered(), exit.value)
          if (Exit.hasInterrupts(exit)) return Effect.interrupt
          this.bypassed++
          this.quietUntil = timeline.now() + this.settings.pauseMillis
          return Effect.as(this.failed(), otherwise)
        }
      )
    })
  }
  /**
   * Waits in slices, each of which is over only after answers that have come were read: it may be this process that is
   * too busy to look, and its delay is not the store's.
   */
  private get tooSlow(): Effect.Effect<never, "TooSlow"> {
    const slice = Effect.sleep(this.settings.timeoutMillis / slices)
    return Effect.andThen(Effect.replicateEffect(slice, slices, { discard: true }), Effect.fail("TooSlow" as const))
  }
  private failed(): Effect.Effect<void> {
    if (this.isDown) return Effect.void
    this.isDown = true
    return Effect.logWarning(`the shared cache of ${this.settings.prefix} is slow or down, and passed over`)
  }
  private recovered(): Effect.Effect<void> {
    if (!this.isDown) return Effect.void
    this.isDown = false
    return Effect.logInfo(`the shared cache of ${this.settings.prefix} is there again`)
  }
}
