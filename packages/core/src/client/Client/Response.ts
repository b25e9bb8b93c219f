/**
 * Reads a response off the transport. The vendor's `classify`, the contract and the operation's check decide its
 * meaning.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type * as HttpApi from "effect/http-api/HttpApi"
import { reasonFrom } from "../../Foreign.ts"
import type { Quota } from "../../Outcome.ts"
import type { Reason } from "../../Reason.ts"
import type { Fate } from "../../Safety.ts"
import type { Attempt } from "../../stack/Leaf.ts"
import { header } from "../../transport/Headers.ts"
import * as Json from "../../transport/Json.ts"
import * as RetryAfter from "../../transport/RetryAfter.ts"
import type { Receiver, ResponseHeaders } from "../../transport/Transport.ts"
import { type Answer, Declared, quotaOf } from "../Answer.ts"
import type { CompiledOperation } from "../Contract.ts"
import type { Declaration } from "../Declaration.ts"
import type { Request } from "./Request.ts"
import type { Meaning, Settle } from "./Step.ts"

/** A complete response. */
export class Response implements Answer {
  readonly status: number
  readonly headers: ResponseHeaders
  readonly body: Uint8Array
  /** Unix time in milliseconds at which the response was complete. */
  readonly at: number
  readonly retryAfterMillis: number | undefined
  readonly quota: Quota | undefined
  private parsed: unknown
  private isParsed = false

  constructor(status: number, headers: ResponseHeaders, body: Uint8Array, at: number) {
    this.status = status
    this.headers = headers
    this.body = body
    this.at = at
    this.retryAfterMillis = RetryAfter.millis(headers, at)
    this.quota = quotaOf(headers, at)
  }
  get json(): unknown {
    if (!this.isParsed) {
      this.isParsed = true
      this.parsed = Json.parse(this.body, header(this.headers, "content-type"))
    }
    return this.parsed
  }
}

/**
 * The meaning of a 304 (RFC 9110, section 15.4.5): the cached answer still holds. Only a request with a validator can
 * get it.
 */
export const unchanged: Meaning = Exit.succeed("unchanged")

/** Receives the response of one request. */
export class AttemptReceiver implements Receiver {
  private readonly declaration: Declaration<HttpApi.Constraint>
  private readonly operation: CompiledOperation
  private readonly request: Request
  private readonly attempt: Attempt<unknown, unknown>
  private readonly settle: Settle
  private status = 0
  private headers: ResponseHeaders = {}

  constructor(
    declaration: Declaration<HttpApi.Constraint>,
    operation: CompiledOperation,
    request: Request,
    attempt: Attempt<unknown, unknown>,
    settle: Settle
  ) {
    this.declaration = declaration
    this.operation = operation
    this.request = request
    this.attempt = attempt
    this.settle = settle
  }
  onQueued() {
    this.attempt.phase("Queue")
  }
  onSent() {
    this.attempt.phase("Headers")
  }
  onRedirect(fate: Fate, go: () => void) {
    this.attempt.again(fate, () => {
      // The request before may have had an effect, so nothing is as if it had not been sent.
      this.attempt.phase("Headers")
      go()
    })
  }
  onHeaders(status: number, headers: ResponseHeaders) {
    this.status = this.attempt.status = status
    this.headers = headers
    this.attempt.phase("Body")
  }
  onProgress() {
    this.attempt.progress()
  }
  onError(reason: Reason) {
    this.settle(reason)
  }
  onEnd(body: Uint8Array) {
    const at = Context.get(this.attempt.context, Clock.Clock).currentTimeMillisUnsafe()
    const response = new Response(this.status, this.headers, body, at)
    this.settle(this.meaningOf(response), response)
  }

  private meaningOf(response: Response): Meaning {
    const { declaration, operation, request } = this
    if (response.status === 304 && request.validator !== undefined) return unchanged
    try {
      const classified = reasonFrom("classify", declaration.classify?.(response, operation))
      const meaning = classified ?? operation.decode(response, response.body)
      if (!Exit.isExit(meaning)) return isReplayed(declaration.replayedHeader, response) ? repeated(meaning) : meaning
      if (operation.check === undefined || Exit.isFailure(meaning)) return meaning
      return reasonFrom("Operation.check", operation.check(meaning.value, request.input)) ?? meaning
    } catch (defect) {
      // An exception here is a mistake in the declaration; the call must still end.
      return Exit.die(defect)
    }
  }
}

const isReplayed = (name: string | undefined, { headers }: Response): boolean =>
  name !== undefined && header(headers, name.toLowerCase())?.trim().toLowerCase() === "true"

/** A failure as a repeated response says it: it is final, and its time to come back was meant for the first response. */
const repeated = (failure: Declared | Reason): Declared | Reason =>
  failure._tag === "Declared" ? new Declared(failure.error, final(failure.reason)) : final(failure)

const final = (reason: Reason): Reason =>
  Object.assign(Object.create(Object.getPrototypeOf(reason)), reason, {
    isRetryable: false,
    retryAfterMillis: undefined
  })
