/** An operation whose answers are remembered: the key of a request, and what is kept of its answer. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import type { CacheOptions } from "../../caching/CacheOptions.ts"
import * as ResponseCache from "../../caching/ResponseCache.ts"
import * as Provenance from "../../Provenance.ts"
import * as Trace from "../../stack/Trace.ts"
import { header, type ResponseHeaders } from "../../transport/Transport.ts"
import type { CompiledOperation, Encoded } from "../Contract.ts"
import { freshnessOf } from "../Freshness.ts"
import type { Meaning } from "./Authorized.ts"

type Known = ResponseCache.Answer<unknown> | undefined
/** Makes a call whose answer is to be kept; succeeds with what {@link Keeping.loaded} has made of it. */
type Call = (keeping: Keeping) => Effect.Effect<unknown, unknown>

/** Makes answers ready to be kept. */
export class Keeping {
  private readonly options: CacheOptions
  private readonly validator: string | undefined

  constructor(options: CacheOptions, known: Known) {
    this.options = options
    this.validator = known?.validator
  }

  /** What is sent besides, so that the vendor need not say again what is known. */
  get headers(): ReadonlyArray<string> {
    return this.validator === undefined ? [] : ["if-none-match", this.validator]
  }

  /** What a load brings. */
  loaded(
    meaning: () => Meaning,
    status: number,
    headers: ResponseHeaders,
    body: Uint8Array,
    wallClockMillis: number
  ): Meaning {
    const { life, obeyVendor, tags } = this.options
    const said = obeyVendor === true ? freshnessOf(headers, wallClockMillis) : undefined
    const fresh = said?.millis === undefined ? undefined : Duration.millis(said.millis)
    if (status === 304 && this.validator !== undefined) {
      return Exit.succeed<ResponseCache.NotModified>({ notModified: true, fresh })
    }
    const meant = meaning()
    if (!Exit.isExit(meant) || Exit.isFailure(meant)) return meant
    const value = meant.value as never
    return Exit.succeed<ResponseCache.Answer<unknown>>({
      value,
      fresh: life?.(value, wallClockMillis) ?? fresh,
      validator: header(headers, "etag"),
      bytes: body.byteLength,
      tags: tags?.(value),
      isKept: said?.isKept
    })
  }
}

/** One operation with a cache before its stack. */
export class Cached {
  /** Makes the cache of an operation. Throws when an option is out of its range. */
  static make(
    options: CacheOptions,
    vendor: string,
    { codec, id: operation }: CompiledOperation
  ): Effect.Effect<Cached, never, Scope.Scope> {
    const name = `${vendor}/${operation}/${options.version ?? "1"}`
    return Effect.map(
      ResponseCache.make<unknown, unknown>({ ...options, vendor, operation }, codec && { name, codec }),
      (cache) => new Cached(cache, options, vendor, operation)
    )
  }

  readonly cache: ResponseCache.ResponseCache<unknown, unknown>
  private readonly options: CacheOptions
  private readonly spanName: string
  private readonly attributes: Trace.Attributes

  private constructor(
    cache: ResponseCache.ResponseCache<unknown, unknown>,
    options: CacheOptions,
    vendor: string,
    operation: string
  ) {
    this.cache = cache
    this.options = options
    this.spanName = `${vendor} ${operation}`
    this.attributes = { "breakwater.vendor": vendor, "breakwater.operation": operation }
  }

  lookup(
    fiber: Fiber.Fiber<unknown, unknown>,
    partition: string,
    request: Encoded,
    call: Call
  ): Effect.Effect<unknown, unknown> {
    const found = this.cache.lookup(
      keyOf(partition, request),
      (known) => call(new Keeping(this.options, known)) as Effect.Effect<ResponseCache.Loaded<unknown>, unknown>
    )
    return fiber.cache.tracer === undefined ? found : this.traced(fiber, found)
  }

  /** A call has spans of its own; an answer without a call gets one here, which says where it comes from. */
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

/** Path, headers and body may hold what is nobody else's business: of all of them only a digest is kept. */
const keyOf = (partition: string, { body, headers, path }: Encoded): string =>
  hash("sha256", JSON.stringify([partition, path, headers, String(body)]), "base64")
