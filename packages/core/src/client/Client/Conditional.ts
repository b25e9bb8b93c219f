/**
 * Makes the requests of a cached operation conditional (`If-None-Match`, RFC 9110, section 13.1.2), and turns an answer
 * into the entry that a cache stores.
 */
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import type { CacheOptions } from "../../caching/CacheOptions.ts"
import * as ResponseCache from "../../caching/ResponseCache.ts"
import { header } from "../../transport/Headers.ts"
import { isLasting } from "../Answer.ts"
import { freshnessOf } from "../Freshness.ts"
import { type Response, unchanged } from "./Response.ts"
import type { Meaning, Step } from "./Step.ts"

/** Makes requests conditional; succeeds with {@link ResponseCache.Loaded}. */
export const step = (options: CacheOptions, next: Step): Step => (request, attempt, settle) =>
  next(
    request.validator === undefined ? request : request.with("if-none-match", request.validator),
    attempt,
    (meaning, response) => settle(response === undefined ? meaning : kept(options, meaning, response), response)
  )

const kept = (options: CacheOptions, meaning: Meaning, response: Response): Meaning => {
  if (!Exit.isExit(meaning)) return meaning
  if (Exit.isFailure(meaning)) return isLasting(response.status) ? meaning : ResponseCache.passing(meaning.cause)
  const { at, body, headers } = response
  const said = options.obeyVendor === true ? freshnessOf(headers, at) : undefined
  const fresh = said?.millis === undefined ? undefined : Duration.millis(said.millis)
  const validator = header(headers, "etag")
  const isKept = said?.isKept
  if (meaning === unchanged) {
    return Exit.succeed<ResponseCache.NotModified>({ notModified: true, fresh, validator, isKept })
  }
  const value = meaning.value as never
  try {
    return Exit.succeed<ResponseCache.CachedAnswer<unknown>>({
      value,
      fresh: options.life?.(value, at) ?? fresh,
      validator,
      bytes: body.byteLength,
      tags: options.tags?.(value),
      isKept
    })
  } catch (defect) {
    // The options' own functions may throw; the call must still end.
    return Exit.die(defect)
  }
}
