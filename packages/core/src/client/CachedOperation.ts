/** An operation with a cache in front of its stack. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import type { CacheOptions } from "../caching/CacheOptions.ts"
import * as ResponseCache from "../caching/ResponseCache.ts"
import * as Provenance from "../Provenance.ts"
import * as Trace from "../stack/Trace.ts"
import { isFieldValue } from "../transport/Headers.ts"
import type { CompiledOperation, Encoded, Input } from "./Contract.ts"

/** Makes a call for the cache; an `ETag` makes it conditional on a change since that answer. */
type Call = (validator: string | undefined) => Effect.Effect<unknown, unknown>

/** One operation with a cache in front of its stack. */
export class CachedOperation {
  /** Makes the cache of an operation. Throws when an option is out of its range. */
  static make(
    options: CacheOptions,
    vendor: string,
    { check, codec, id: operation }: CompiledOperation
  ): Effect.Effect<CachedOperation, never, Scope.Scope> {
    const name = `${vendor}/${operation}/${options.version ?? "1"}`
    return Effect.map(
      ResponseCache.make<unknown, unknown>({ ...options, vendor, operation }, codec && { name, codec }),
      (cache) => new CachedOperation(cache, options, vendor, operation, check)
    )
  }

  readonly cache: ResponseCache.ResponseCache<unknown, unknown>
  readonly options: CacheOptions
  private readonly check: CompiledOperation["check"]
  private readonly spanName: string
  private readonly attributes: Trace.Attributes

  private constructor(
    cache: ResponseCache.ResponseCache<unknown, unknown>,
    options: CacheOptions,
    vendor: string,
    operation: string,
    check: CompiledOperation["check"]
  ) {
    this.cache = cache
    this.check = check
    this.options = options
    this.spanName = `${vendor} ${operation}`
    this.attributes = { "breakwater.vendor": vendor, "breakwater.operation": operation }
  }

  lookup(
    fiber: Fiber.Fiber<unknown, unknown>,
    partition: string,
    request: Encoded,
    input: Input,
    call: Call
  ): Effect.Effect<unknown, unknown> {
    const found = this.cache.lookup(keyOf(partition, request), (known) => {
      const load = call(sendable(known?.validator)) as Effect.Effect<ResponseCache.Loaded<unknown>, unknown>
      return known === undefined ? load : Effect.flatMap(load, (loaded) => this.renewed(known.value, loaded))
    }, this.check === undefined ? undefined : (value) => this.isTrusted(value, input))
    return fiber.cache.tracer === undefined ? found : this.traced(fiber, found)
  }

  /** An older process of the fleet may have shared an answer without the check, or with another one. */
  private isTrusted(value: unknown, input: Input): boolean {
    try {
      return this.check?.(value, input) === undefined
    } catch {
      return false
    }
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
      (now) => ({ notModified: true, fresh: life(value as never, now) ?? loaded.fresh })
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
const keyOf = (partition: string, { body, headers, path }: Encoded): string =>
  hash("sha256", JSON.stringify([partition, path, headers, String(body)]), "base64")

/** An `ETag` that a request can carry; a vendor may have sent one with bytes beyond ASCII. */
const sendable = (validator: string | undefined): string | undefined =>
  validator !== undefined && validator !== "" && isFieldValue(validator) ? validator : undefined
