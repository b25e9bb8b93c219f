/**
 * Caches the secrets of a remote source, so that calls do not wait for it. Concurrent requests share one fetch, a
 * secret is refreshed in the background before it expires, and stale ones are served while the source is down. An
 * expired secret is never served. A local source (the environment, files) needs no cache: use `Credential.fromSource`.
 *
 * @example
 * ```ts
 * import { Credential, RefreshingCredentials } from "@breakwater/core/credentials"
 * import { Effect, Redacted } from "effect"
 *
 * let fetches = 0
 * const source: RefreshingCredentials.Source = {
 *   name: "counting",
 *   fetch: () => Effect.sync(() => ({ value: Redacted.make(`secret ${++fetches}`) }))
 * }
 * const program = Effect.gen(function*() {
 *   const { read } = yield* Credential.Credentials
 *   const secrets = Effect.all([read({ vendor: "stripe", key: "" }), read({ vendor: "stripe", key: "" })])
 *   console.log((yield* secrets).map(Redacted.value), fetches) // => [ 'secret 1', 'secret 1' ] 1
 * })
 * await Effect.runPromise(Effect.provide(program, RefreshingCredentials.layer(Effect.succeed(source))))
 * ```
 */
import * as Clock from "effect/Clock"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Deadline } from "../Deadline.ts"
import * as Jitter from "../Jitter.ts"
import * as Range from "../Range.ts"
import { CredentialUnavailable } from "../Reason.ts"
import { type Cell, Keyed, type KeyOptions, settingsOf } from "../structures/Keyed.ts"
import { SingleFlight } from "../structures/SingleFlight.ts"
import * as Timeline from "../Timeline.ts"
import { type CredentialRequest, Credentials } from "./Credential.ts"
import { environmentName } from "./Naming.ts"
import { alive, type Secret, type Source, type SourceUnavailable, sourceUnavailable } from "./Source.ts"

export type { Secret, Source, SourceUnavailable } from "./Source.ts"

/** Options of the cache. Defaults without a source are our own judgement. */
export interface RefreshingCredentialsOptions extends KeyOptions {
  /** How long a secret without an expiry is fresh; longer than 0. @default "1 minute" */
  readonly maxAge?: Duration.Input | undefined
  /** How long before its expiry a secret is refreshed; at least 0, at most half of its lifetime. @default "1 minute" */
  readonly refreshAhead?: Duration.Input | undefined
  /**
   * The largest random share by which `refreshAhead` and `maxAge` act earlier, so that processes do not refresh at the
   * same time; 0 to 1.
   * @default 0.3
   */
  readonly jitter?: number | undefined
  /** How long a stale secret without an expiry is served while the source is down; at least 0. @default "1 hour" */
  readonly staleFor?: Duration.Input | undefined
  /**
   * The pause before a source that was down is asked again, doubling each time up to a minute, or longer if the source
   * asks for it, up to an hour. The same pause, without doubling, follows a secret that was missing. At least 0.
   * @default "1 second"
   */
  readonly retryPause?: Duration.Input | undefined
  /**
   * How long a fetch is waited for; longer than 0. Then the source counts as down, and is asked anew after the pause. The
   * fetch itself goes on, and what it finds is used.
   * @default "1 minute"
   */
  readonly fetchTimeout?: Duration.Input | undefined
}

/**
 * Caches the secrets of a source until the scope ends. The source is asked with the `ConfigProvider` of this effect.
 * Throws if an option is out of its range.
 */
export const make = (
  source: Source,
  options: RefreshingCredentialsOptions = {}
): Effect.Effect<Credentials, never, Scope.Scope> => {
  const settings: Settings = {
    maxAgeMillis: Range.duration("RefreshingCredentials: maxAge", options.maxAge ?? Duration.minutes(1)),
    aheadMillis: Range.durationOrZero(
      "RefreshingCredentials: refreshAhead",
      options.refreshAhead ?? Duration.minutes(1)
    ),
    jitter: Range.between("RefreshingCredentials: jitter", options.jitter ?? 0.3, 0, 1),
    staleMillis: Range.durationOrZero("RefreshingCredentials: staleFor", options.staleFor ?? Duration.hours(1)),
    retryMillis: Range.durationOrZero("RefreshingCredentials: retryPause", options.retryPause ?? Duration.seconds(1)),
    fetchMillis: Range.duration("RefreshingCredentials: fetchTimeout", options.fetchTimeout ?? Duration.minutes(1))
  }
  const keys = settingsOf("RefreshingCredentials", options)
  return Effect.gen(function*() {
    const held = new Keyed<Held>(keys, (_key, now) => new Held(now), ({ flight }) => flight !== undefined)
    const keeper = new RefreshingCredentials(
      source,
      settings,
      held,
      yield* Effect.scope,
      yield* Random.Random,
      yield* ConfigProvider.ConfigProvider
    )
    return {
      read: (request) => keeper.read(request),
      renew: (request, refused) => keeper.renew(request, refused)
    }
  })
}

/** {@link Credentials} from a source, with a cache. */
export const layer = <E, R>(
  source: Effect.Effect<Source, E, R>,
  options: RefreshingCredentialsOptions = {}
): Layer.Layer<never, E, Exclude<R, Scope.Scope>> =>
  Layer.effect(Credentials, Effect.flatMap(source, (source) => make(source, options)))

interface Settings {
  readonly maxAgeMillis: number
  readonly aheadMillis: number
  readonly jitter: number
  readonly staleMillis: number
  readonly retryMillis: number
  readonly fetchMillis: number
}

/** The longest pause after a source was down, and the longest for which it can ask itself. */
const [longestPauseMillis, longestHintMillis] = [60_000, 60 * 60_000]

/** The state of one secret. */
class Held implements Cell {
  secret: Secret | undefined = undefined
  /** The result for readers, made once. */
  given: Exit.Exit<Redacted.Redacted> | undefined = undefined
  /** When the secret was fetched, as all times here in elapsed time of the timeline. */
  fetchedAt = -Infinity
  /** When to refresh the secret. */
  refreshAt = -Infinity
  /** When the secret expires. */
  expiresAt = Infinity
  flight: SingleFlight<Secret | undefined, SourceUnavailable> | undefined = undefined
  /** The refused secret for which the source is being asked. */
  refusal: Redacted.Redacted | undefined = undefined
  /** When the source was last asked because of a refusal. */
  renewedAt = -Infinity
  failures = 0
  /** Until when the secret counts as missing. */
  missingUntil = -Infinity
  quietUntil = -Infinity
  touchedAt: number
  placedAt: number
  constructor(now: number) {
    this.touchedAt = this.placedAt = now
  }
}

class RefreshingCredentials {
  private readonly source: Source
  private readonly settings: Settings
  private readonly held: Keyed<Held>
  private readonly scope: Scope.Scope
  private readonly random: typeof Random.Random.Service
  private readonly provider: ConfigProvider.ConfigProvider

  constructor(
    source: Source,
    settings: Settings,
    held: Keyed<Held>,
    scope: Scope.Scope,
    random: typeof Random.Random.Service,
    provider: ConfigProvider.ConfigProvider
  ) {
    this.source = source
    this.settings = settings
    this.held = held
    this.scope = scope
    this.random = random
    this.provider = provider
  }

  read(request: CredentialRequest): Effect.Effect<Redacted.Redacted, CredentialUnavailable> {
    return Effect.withFiber((fiber) => {
      const moment = new Moment(fiber)
      const held = this.heldOf(moment, request)
      const { given, secret } = held
      if (given === undefined || secret === undefined) return this.wait(moment, request, held, undefined)
      if (moment.now < held.refreshAt) return given
      if (!this.isGood(moment, held)) return this.wait(moment, request, held, undefined)
      if (held.flight === undefined && moment.now >= held.quietUntil) this.fetch(moment, request, held, undefined)
      return given
    })
  }

  renew(
    request: CredentialRequest,
    refused: Redacted.Redacted
  ): Effect.Effect<Redacted.Redacted, CredentialUnavailable> {
    return Effect.withFiber((fiber) => {
      const moment = new Moment(fiber)
      const held = this.heldOf(moment, request)
      const isAnother = () => held.secret !== undefined && !isSame(held.secret.value, refused)
      if (held.given !== undefined && this.isGood(moment, held)) {
        // The source is asked once per refusal; later requests get the same result for a while.
        if (isAnother() || moment.now < held.renewedAt + this.settings.retryMillis) return held.given
      }
      const { flight, refusal } = held
      // A fetch for another reason may have begun before the secret was changed.
      if (flight === undefined || (refusal !== undefined && isSame(refusal, refused))) {
        return this.wait(moment, request, held, refused)
      }
      return Effect.flatMap(flight.join(moment.timeline, Infinity, Infinity), () => {
        return isAnother() && this.isGood(moment, held) ? held.given! : this.wait(moment, request, held, refused)
      })
    })
  }

  private heldOf({ now }: Moment, { key, vendor }: CredentialRequest): Held {
    return this.held.get(`${vendor}\n${key}`, now)
  }

  /** Whether the secret in the cache may still be served. */
  private isGood({ now }: Moment, { expiresAt, fetchedAt, secret }: Held): boolean {
    const { maxAgeMillis, staleMillis } = this.settings
    if (secret === undefined) return false
    return now < (secret.expiresAt === undefined ? fetchedAt + maxAgeMillis + staleMillis : expiresAt)
  }

  /** Waits for the source. */
  private wait(
    moment: Moment,
    request: CredentialRequest,
    held: Held,
    refused: Redacted.Redacted | undefined
  ): Effect.Effect<Redacted.Redacted, CredentialUnavailable> {
    const name = environmentName(request)
    if (held.flight === undefined && moment.now < held.quietUntil) return this.withoutSource(moment, name, held)
    if (held.flight === undefined && moment.now < held.missingUntil) return Effect.fail(new CredentialUnavailable(name))
    const flight = held.flight ?? this.fetch(moment, request, held, refused)
    return Effect.flatMap(flight.join(moment.timeline, Infinity, Infinity), (end) => {
      if (end === "Slow" || end === "Late") return Effect.never
      if (Exit.isSuccess(end)) {
        return end.value === undefined
          ? Effect.fail(new CredentialUnavailable(name, "Missing"))
          : Effect.succeed(end.value.value)
      }
      if (this.isOver) return Exit.failCause(end.cause) as Exit.Exit<never>
      return this.withoutSource(moment, name, held)
    })
  }

  /** The cached secret, if it may still be served while the source is down. */
  private withoutSource(
    moment: Moment,
    name: string,
    held: Held
  ): Effect.Effect<Redacted.Redacted, CredentialUnavailable> {
    return this.isGood(moment, held)
      ? held.given!
      : Effect.fail(new CredentialUnavailable(name, "Unreachable", Math.max(0, held.quietUntil - moment.now)))
  }

  /**
   * Fetches once for all concurrent requests. The fetch is never interrupted: half a rotation would lose the secret.
   */
  private fetch(
    moment: Moment,
    request: CredentialRequest,
    held: Held,
    refused: Redacted.Redacted | undefined
  ): SingleFlight<Secret | undefined, SourceUnavailable> {
    const flight = new SingleFlight<Secret | undefined, SourceUnavailable>(Infinity, true, () => {})
    held.flight = flight
    held.refusal = refused
    const fetched = Effect.suspend(() => this.source.fetch(request, refused))
    const before = held.secret
    const extend = refused === undefined ? before?.extend : undefined
    const asked = extend === undefined
      ? fetched
      : Effect.filterOrElse(extend, (secret) => secret !== undefined, () => fetched)
    const context = moment.context.pipe(
      Context.add(Deadline, Infinity),
      Context.add(ConfigProvider.ConfigProvider, this.provider)
    )
    const run = Effect.runForkWith(context)
    const fiber = Fiber.runIn(run(alive(this.source, asked)), this.scope)
    const waited = Effect.timeoutOrElse(Fiber.join(fiber), {
      duration: this.settings.fetchMillis,
      orElse: () => {
        fiber.addObserver((exit) => {
          if (Exit.isSuccess(exit) && held.secret === before) {
            this.learn(moment, request, held, exit)
          }
        })
        return Effect.fail(sourceUnavailable(this.source.name, "the source does not respond"))
      }
    })
    flight.carry(Fiber.runIn(run(waited), this.scope), (exit) => {
      held.flight = undefined
      if (refused !== undefined) held.renewedAt = moment.now
      this.learn(moment, request, held, exit)
    })
    return flight
  }

  /** Whether the scope has closed, which interrupts every fetch. */
  private get isOver(): boolean {
    return this.scope.state._tag === "Closed"
  }

  private learn(
    { context, now, wallClock }: Moment,
    request: CredentialRequest,
    held: Held,
    exit: Exit.Exit<Secret | undefined, SourceUnavailable>
  ): void {
    if (this.isOver) return
    const { aheadMillis, jitter, maxAgeMillis, retryMillis } = this.settings
    const random = this.random.nextDoubleUnsafe()
    const sooner = 1 - jitter * random
    const credential = { vendor: request.vendor, key: request.key, source: this.source.name }
    const log = Effect.runForkWith(context)
    if (Exit.isFailure(exit)) {
      const failure = Option.getOrElse(Exit.findErrorOption(exit), () => interrupted)
      const pause = Math.min(retryMillis * 2 ** held.failures++, longestPauseMillis) * sooner
      const hint = Math.min(failure.retryAfterMillis ?? 0, longestHintMillis)
      held.quietUntil = now + Math.max(pause, Jitter.later(hint, random))
      log(Effect.annotateLogs(Effect.logWarning(`a secret could not be fetched: ${failure.issue}`), credential))
      return
    }
    if (held.failures > 0) log(Effect.annotateLogs(Effect.logInfo("secrets can be fetched again"), credential))
    held.failures = 0
    held.quietUntil = -Infinity
    const secret = exit.value
    held.secret = secret
    held.given = secret === undefined ? undefined : Exit.succeed(secret.value)
    held.fetchedAt = now
    held.missingUntil = secret === undefined ? now + retryMillis : -Infinity
    if (secret === undefined) return
    const lifeMillis = secret.expiresAt === undefined ? Infinity : secret.expiresAt - wallClock
    held.expiresAt = now + lifeMillis
    held.refreshAt = lifeMillis === Infinity
      ? now + maxAgeMillis * sooner
      : held.expiresAt - Math.min(aheadMillis, lifeMillis / 2) * (2 - sooner)
  }
}

/** The end of a fetch that neither succeeds nor fails, nor dies. */
const interrupted = { issue: "the source interrupts itself", retryAfterMillis: undefined }

const isSame = (a: Redacted.Redacted, b: Redacted.Redacted): boolean => Redacted.value(a) === Redacted.value(b)

/** The time by both clocks of the caller, which may be gone when the source responds. */
class Moment {
  readonly context: Context.Context<never>
  readonly timeline: Timeline.Timeline
  readonly clock: Clock.Clock

  constructor(fiber: Fiber.Fiber<unknown, unknown>) {
    this.context = fiber.context
    this.timeline = Timeline.of(fiber)
    this.clock = fiber.getRef(Clock.Clock)
  }
  get now(): number {
    return this.timeline.elapsed()
  }
  /** Unix time in milliseconds. */
  get wallClock(): number {
    return this.clock.currentTimeMillisUnsafe()
  }
}
