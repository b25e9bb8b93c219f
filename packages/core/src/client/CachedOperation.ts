/** An operation with a cache in front of its stack. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import type { CacheOptions } from "../caching/CacheOptions.ts"
import * as ResponseCache from "../caching/ResponseCache.ts"
import { Deadline } from "../Deadline.ts"
import * as Provenance from "../Provenance.ts"
import * as Trace from "../stack/Trace.ts"
import * as Timeline from "../Timeline.ts"
import { isFieldValue } from "../transport/Headers.ts"
import * as Accounts from "./Accounts.ts"
import type { CompiledOperation, Encoded, Input } from "./Contract.ts"

/** Makes a call for the cache; an `ETag` makes it conditional on a change since that answer. */
type Call = (validator: string | undefined) => Effect.Effect<unknown, unknown>
type Load = Effect.Effect<ResponseCache.Loaded<unknown>, unknown>
type Answered = Effect.Effect<ResponseCache.CachedAnswer<unknown>, unknown>

/** A client's part in the identity of its answers, and in how long they may take. */
export interface Setting {
  readonly vendor: string
  readonly baseUrl: URL
  /** The time a call may take, in milliseconds. */
  readonly deadlineMillis: number
  /** Whose secrets its calls carry; `undefined` if they carry none. */
  readonly accounts: Accounts.Accounts | undefined
}

/** One operation with a cache in front of its stack. */
export class CachedOperation {
  /** Makes the cache of an operation. Throws when an option is out of its range. */
  static make(
    options: CacheOptions,
    setting: Setting,
    operation: CompiledOperation
  ): Effect.Effect<CachedOperation, never, Scope.Scope> {
    const { codec, id } = operation
    const { deadlineMillis, vendor } = setting
    const name = `${vendor}/${id}/${options.version ?? "1"}`
    const deadline = Duration.millis(deadlineMillis)
    return Effect.map(
      ResponseCache.make<unknown, unknown>({ ...options, vendor, operation: id, deadline }, codec && { name, codec }),
      (cache) => new CachedOperation(cache, options, setting, operation)
    )
  }

  readonly cache: ResponseCache.ResponseCache<unknown, unknown>
  readonly options: CacheOptions
  private readonly setting: Setting
  private readonly base: string
  private readonly check: CompiledOperation["check"]
  private readonly spanName: string
  private readonly attributes: Trace.Attributes

  private constructor(
    cache: ResponseCache.ResponseCache<unknown, unknown>,
    options: CacheOptions,
    setting: Setting,
    { check, id }: CompiledOperation
  ) {
    const { baseUrl, vendor } = setting
    this.cache = cache
    this.check = check
    this.options = options
    this.setting = setting
    this.base = baseUrl.origin + baseUrl.pathname
    this.spanName = `${vendor} ${id}`
    this.attributes = { "breakwater.vendor": vendor, "breakwater.operation": id }
  }

  lookup(
    fiber: Fiber.Fiber<unknown, unknown>,
    partition: string,
    request: Encoded,
    input: Input,
    call: Call
  ): Effect.Effect<unknown, unknown> {
    const { accounts, deadlineMillis } = this.setting
    const find = (account: Accounts.Account | undefined) =>
      account === undefined
        // Without an account there is no answer to share. The call itself says what is wrong with the secret.
        ? Effect.map(call(undefined) as Answered, ({ value }) => value)
        : this.find(fiber, account, partition, request, input, call)
    const account = accounts === undefined ? Accounts.none : accounts.of(fiber.context, partition)
    if (!(account instanceof Accounts.Reading)) return find(account)
    const timeline = Timeline.of(fiber)
    const dueAt = Math.min(fiber.getRef(Deadline), timeline.now() + deadlineMillis)
    // The secret takes a part of the time.
    return Effect.provideService(Effect.flatMap(account.by(timeline, dueAt), find), Deadline, dueAt)
  }

  private find(
    fiber: Fiber.Fiber<unknown, unknown>,
    account: Accounts.Account,
    partition: string,
    request: Encoded,
    input: Input,
    call: Call
  ): Effect.Effect<unknown, unknown> {
    const found = this.cache.lookup(
      keyOf(this.base, account.id, partition, request),
      (known) => {
        const load = call(sendable(known?.validator)) as Load
        const owned = account.isNamed ? load : this.ownedBy(account, partition, load, call)
        return known === undefined ? owned : Effect.flatMap(owned, (loaded) => this.renewed(known.value, loaded))
      },
      {
        // An older process of the fleet may have shared an answer without the check, or with another one.
        trusts: this.check && ((value) => this.check!(value, input) === undefined),
        isPrivate: !account.isNamed
      }
    )
    return fiber.cache.tracer === undefined ? found : this.traced(fiber, found)
  }

  /**
   * The secret may be replaced during a call, which then carries another one. Its answer is not kept for the old one,
   * and that a known answer still holds says nothing to the new one.
   */
  private ownedBy(account: Accounts.Account, partition: string, load: Load, call: Call): Load {
    return Effect.flatMap(load, (loaded) =>
      Effect.withFiber((fiber) => {
        const confirmed = (now: Accounts.Account | undefined): Load => {
          if (now?.id === account.id) return Effect.succeed(loaded)
          const another = "notModified" in loaded ? call(undefined) as Load : Effect.succeed(loaded)
          return Effect.map(another, (loaded) => ({ ...loaded, isKept: false }))
        }
        const now = this.setting.accounts!.of(fiber.context, partition)
        return now instanceof Accounts.Reading
          ? Effect.flatMap(now.by(Timeline.of(fiber), fiber.getRef(Deadline)), confirmed)
          : confirmed(now)
      }))
  }

  /** A 304 says nothing of the life of the known answer: its content still does. */
  private renewed(
    value: unknown,
    loaded: ResponseCache.Loaded<unknown>
  ): Effect.Effect<ResponseCache.Loaded<unknown>> {
    const { life } = this.options
    if (!("notModified" in loaded) || life === undefined) return Effect.succeed(loaded)
    return Effect.map(
      Clock.currentTimeMillis,
      (now) => ({ ...loaded, fresh: life(value as never, now) ?? loaded.fresh })
    )
  }

  /** A call has its own spans. An answer without a call gets one here, which records where it comes from. */
  private traced<A, E>(fiber: Fiber.Fiber<unknown, unknown>, found: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const acceptance = fiber.getRef(Provenance.Acceptance)
    let provenance: Provenance.Provenance | undefined
    const listening: Provenance.Acceptance = {
      maxAgeMillis: acceptance?.maxAgeMillis,
      tell(told) {
        provenance = told
        acceptance?.tell(told)
      }
    }
    return Effect.onExitPrimitive(Effect.provideService(found, Provenance.Acceptance, listening), (exit) => {
      if (provenance?._tag !== "Cached" && provenance?._tag !== "Stale") return
      const span = Trace.open(fiber, undefined, this.spanName, "internal", {
        ...this.attributes,
        "breakwater.provenance": provenance._tag,
        "breakwater.age": Duration.toSeconds(provenance.age),
        ...(provenance._tag === "Stale" ? { "breakwater.because": provenance.because } : {})
      })
      if (span !== undefined) Trace.close(fiber, span, exit)
    })
  }
}

/** Path, headers and body may be confidential, so only a digest of them is kept. */
const keyOf = (base: string, account: string, partition: string, { body, headers, path }: Encoded): string => {
  const content = body === undefined || typeof body === "string" ? [body] : [[...body]]
  return hash("sha256", JSON.stringify([base, account, partition, path, headers, ...content]), "base64")
}

/** An `ETag` that a request can carry; a vendor may have sent one with bytes beyond ASCII. */
const sendable = (validator: string | undefined): string | undefined =>
  validator !== undefined && validator !== "" && isFieldValue(validator) ? validator : undefined
