/**
 * The second level of a cache, shared with other processes. The store behind it is bypassed while it is slow or down,
 * and nothing that it holds fails a call.
 *
 * Answers are stored under the generation of their operation, a random name. To clear the cache or to invalidate a tag
 * begins a new generation: a store cannot be searched by tag, and a call in flight elsewhere stores its answer under the
 * generation in which it began. The answer of one key is removed by itself, unless another process may be about to store
 * it again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import { FailOpen } from "../../fleet/FailOpen.ts"
import type { Store } from "../../fleet/Store.ts"
import type * as Timeline from "../../Timeline.ts"

/** An answer in its shared form. */
export interface Shared<A> {
  readonly value: A
  /** How long ago it was fetched, in milliseconds, by the clock of the store if it has one. */
  readonly ageMillis: number
  /** In milliseconds; `undefined` leaves it to the options of its reader. */
  readonly freshMillis: number | undefined
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
  /** The largest answer that is shared, in bytes. */
  readonly maxBytes: number
}

/** The right to fetch the answer of a key for all processes. */
export interface Lead<A> {
  /** Shares an answer for so many milliseconds. */
  readonly share: (shared: Shared<A>, millis: number) => Effect.Effect<void>
  readonly giveUp: Effect.Effect<void>
}

/** The place of a key in the store, in the generation that was current when it was looked up. */
export interface Place<A> {
  /** The shared answer; `undefined` without a current one of ours. */
  readonly read: Effect.Effect<Shared<A> | undefined>
  /** Takes the lead in fetching the answer. It is then held, even if the caller leaves meanwhile. */
  readonly lead: Effect.Effect<Lead<A> | "AnotherLeads">
}

/** How long a generation is remembered, in milliseconds: longer than any answer, which lives 2³¹ seconds at most. */
const generationMillis = 2 ** 32 * 1_000
/** What an answer may be ahead of the reader's clock, in milliseconds, before it is not believed. Our own judgement. */
const aheadMillis = 1_000

/** Decodes an answer as it stands in the store, which other programs may have written to. */
const decodeEnvelope = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({
  value: Schema.String,
  /** When it was fetched, in Unix milliseconds. */
  at: Schema.Finite,
  freshMillis: Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))),
  validator: Schema.optionalKey(Schema.String),
  bytes: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  tags: Schema.Array(Schema.String)
})))

export class SecondLevel<A> {
  private readonly store: Store
  private readonly codec: Codec<A>
  private readonly settings: SecondLevelSettings
  private readonly bypass: FailOpen
  private readonly prefix: string
  /** A generation begun here of which the store has not heard yet. Until then nothing is read from it. */
  private unheard: string | undefined = undefined
  /** The keys whose answers are being removed, each with the latest removal. They are not read meanwhile. */
  private readonly removing = new Map<string, object>()

  constructor(store: Store, codec: Codec<A>, settings: SecondLevelSettings) {
    this.store = store
    this.codec = codec
    this.settings = settings
    this.bypass = new FailOpen({ ...settings, what: `the shared cache of ${settings.prefix}` })
    this.prefix = store.namespace === undefined ? settings.prefix : `${store.namespace}/${settings.prefix}`
  }

  /** Number of times the store was bypassed. */
  get bypassed(): number {
    return this.bypass.count
  }

  /** The place of a key; `undefined` while the store is bypassed. */
  place(timeline: Timeline.Timeline, key: string): Effect.Effect<Place<A> | undefined> {
    if (this.removing.has(key)) return Effect.undefined
    return Effect.map(
      this.bypass.ask(timeline, "generation", () => this.generation(), undefined),
      (generation) => generation === undefined ? undefined : this.placeIn(timeline, this.nameIn(generation, key))
    )
  }

  /** Removes the answer of a key for all processes, also one that is in flight elsewhere. */
  remove(timeline: Timeline.Timeline, key: string): Effect.Effect<void> {
    const removal = {}
    this.removing.set(key, removal)
    const { store } = this
    let giveUp: Effect.Effect<void, unknown> = Effect.void
    const remove = Effect.flatMap(this.generation(), (generation): Effect.Effect<boolean, unknown> => {
      const name = this.nameIn(generation, key)
      if (store.lead === undefined) return Effect.as(store.remove(name), false)
      return Effect.flatMap(store.lead(name, this.settings.leadMillis), (taken) => {
        if (taken === undefined) return Effect.succeed(false)
        giveUp = taken
        return Effect.as(store.remove(name), true)
      })
    })
    const removed = Effect.ensuring(
      this.bypass.ask(timeline, "remove", () => remove, false),
      Effect.suspend(() => this.bypass.ask(timeline, "lead", () => giveUp, undefined))
    )
    return Effect.flatMap(removed, (isGone) => {
      if (this.removing.get(key) === removal) this.removing.delete(key)
      return isGone ? Effect.void : this.clear(timeline)
    })
  }

  /** Begins a new generation, in which there is no answer yet. */
  clear(timeline: Timeline.Timeline): Effect.Effect<void> {
    this.unheard = randomUUID()
    return Effect.asVoid(this.bypass.ask(timeline, "generation", () => this.generation(), undefined))
  }

  private placeIn(timeline: Timeline.Timeline, name: string): Place<A> {
    const { bypass, store } = this
    return {
      read: bypass.ask(
        timeline,
        "read",
        () =>
          Effect.flatMap(
            store.read(name),
            (text): Effect.Effect<Shared<A> | undefined, unknown> =>
              text === undefined ? Effect.undefined : Effect.map(this.now, (now) => this.parse(text, now))
          ),
        undefined
      ),
      lead: Effect.suspend(() => {
        const share = (shared: Shared<A>, millis: number) => this.share(timeline, name, shared, millis)
        const noLock: Lead<A> = { share, giveUp: Effect.void }
        if (store.lead === undefined) return Effect.succeed(noLock)
        const lead = store.lead.bind(store)
        const take = () =>
          Effect.map(
            lead(name, this.settings.leadMillis),
            (giveUp): Lead<A> | "AnotherLeads" =>
              giveUp === undefined
                ? "AnotherLeads"
                : { share, giveUp: bypass.ask(timeline, "lead", () => giveUp, undefined) }
          )
        return bypass.ask(timeline, "lead", take, noLock)
      })
    }
  }

  private share(
    timeline: Timeline.Timeline,
    name: string,
    { ageMillis, value, ...rest }: Shared<A>,
    millis: number
  ): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (rest.bytes > this.settings.maxBytes) return Effect.void
      let text: string
      try {
        text = this.codec.encode(value)
      } catch {
        return Effect.void
      }
      const write = Effect.flatMap(
        this.now,
        (now) => this.store.write(name, JSON.stringify({ ...rest, value: text, at: now - ageMillis }), millis)
      )
      return this.bypass.ask(timeline, "write", () => write, undefined)
    })
  }

  /** The current generation; `""` before the first clearing. */
  private generation(): Effect.Effect<string, unknown> {
    return Effect.suspend(() => {
      const marker = `${this.prefix}:generation`
      const { unheard } = this
      if (unheard === undefined) {
        return Effect.flatMap(this.store.read(marker), (read = ""): Effect.Effect<string, unknown> => {
          if (generationShape.test(read)) return Effect.succeed(read)
          this.unheard ??= randomUUID()
          return this.generation()
        })
      }
      return Effect.map(this.store.write(marker, unheard, generationMillis), () => {
        if (this.unheard === unheard) this.unheard = undefined
        return unheard
      })
    })
  }

  private nameIn(generation: string, key: string): string {
    return generation === "" ? `${this.prefix}/${key}` : `${this.prefix}/${generation}/${key}`
  }

  /** The time by which the store's answers age, in Unix milliseconds. */
  private get now(): Effect.Effect<number, unknown> {
    return this.store.now ?? Clock.currentTimeMillis
  }

  private parse(text: string, now: number): Shared<A> | undefined {
    try {
      const { at, bytes, freshMillis, tags, validator, value } = decodeEnvelope(text)
      if (at > now + aheadMillis) return undefined
      return {
        value: this.codec.decode(value),
        ageMillis: Math.max(0, now - at),
        freshMillis,
        validator,
        bytes,
        tags
      }
    } catch {
      return undefined
    }
  }
}

/** A UUID, or nothing. */
const generationShape = /^[\da-f-]{0,36}$/
