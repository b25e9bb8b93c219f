/**
 * Stripe's idempotency (https://docs.stripe.com/api/idempotent_requests). The first response to a key is kept for a day and
 * replayed with a marker, even a 500. The same key with another request is an error, and a second request while the first
 * is running is a conflict. A request that failed validation is not kept.
 */
import { Simulator } from "@breakwater/core/simulator"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"

/** A response, and whether to keep it: a request that reached no endpoint is not kept. */
export interface Executed {
  readonly response: Simulator.WireResponse
  readonly isKept: boolean
}

interface Entry {
  readonly fingerprint: string
  readonly at: number
  response: Simulator.WireResponse | undefined
}

/** Both from https://docs.stripe.com/api/idempotent_requests, in milliseconds and characters. */
const keptMillis = 24 * 60 * 60 * 1_000
const longestKey = 255

export class Idempotency {
  private readonly entries = new Map<string, Entry>()

  /** Runs a request under its key, or answers it from what is kept. */
  run(
    request: Simulator.WireRequest,
    requestId: string,
    execute: Effect.Effect<Executed>
  ): Effect.Effect<Simulator.WireResponse> {
    const key = request.headers["idempotency-key"]
    if (key === undefined || request.method !== "POST") return Effect.map(execute, ({ response }) => response)
    if (key.length > longestKey) {
      return Effect.succeed(error(400, `Idempotency keys can be up to ${longestKey} characters long.`))
    }
    return Effect.gen({ self: this }, function*() {
      const now = yield* Clock.currentTimeMillis
      // Idempotency keys belong to an account. The simulator treats every API key as an account.
      const owner = `${request.headers["authorization"]}|${key}`
      const kept = this.entries.get(owner)
      const fingerprint = fingerprintOf(request)
      if (kept !== undefined && now - kept.at < keptMillis) {
        if (kept.fingerprint !== fingerprint) {
          return error(
            400,
            "Keys for idempotent requests can only be used with the same parameters they were first used with."
          )
        }
        if (kept.response === undefined) {
          return error(
            409,
            "There is currently another in-progress request using this Idempotent Key.",
            "idempotency_key_in_use"
          )
        }
        const { headers } = kept.response
        return {
          ...kept.response,
          headers: {
            ...headers,
            "request-id": requestId,
            "original-request": headers["request-id"] ?? requestId,
            "idempotent-replayed": "true"
          }
        }
      }
      const entry: Entry = { fingerprint, at: now, response: undefined }
      this.entries.set(owner, entry)
      const { isKept, response } = yield* execute
      const answered = {
        ...response,
        headers: { ...response.headers, "request-id": requestId, "idempotency-key": key }
      }
      if (isKept) entry.response = answered
      else this.entries.delete(owner)
      return answered
    })
  }
}

const fingerprintOf = (request: Simulator.WireRequest): string =>
  createHash("sha256").update(request.path).update("\0").update(request.body).digest("hex")

const error = (status: number, message: string, code?: string): Simulator.WireResponse =>
  Simulator.json(status, {
    error: {
      type: status === 409 ? "invalid_request_error" : "idempotency_error",
      message,
      ...(code === undefined ? {} : { code })
    }
  })
