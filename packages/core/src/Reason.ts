/**
 * Why a vendor call failed: a closed set. Each reason says what became of the attempt, whether the same call may succeed
 * later, and when to come back.
 *
 * Reasons are plain objects without stack trace or schema construction: a refusal must cost almost nothing exactly when
 * everything is refused. None holds a vendor's words, a header, a URL or a body.
 */
import * as Duration from "effect/Duration"
import type { Fate } from "./Safety.ts"

export * as Facts from "./Reason/Facts.ts"

/** How far an attempt had come: waiting for a connection, for the first header, for the end of the body. */
export type Phase = "Connect" | "Headers" | "Body"

abstract class ReasonBase<Tag extends string> {
  declare readonly _tag: Tag
  /** What became of the attempt that failed for this reason. */
  declare readonly fate: Fate
  /** Whether the same call may succeed later. Whether it may be repeated is for its `Safety` and its `Fate` to say. */
  declare readonly isRetryable: boolean
  /** Milliseconds until it makes sense to come back, where the refuser said so. */
  declare readonly retryAfterMillis: number | undefined

  constructor(tag: Tag, fate: Fate, isRetryable: boolean, retryAfterMillis?: number) {
    this._tag = tag
    this.fate = fate
    this.isRetryable = isRetryable
    this.retryAfterMillis = retryAfterMillis
  }

  /** How long to stay away, where the refuser said so. */
  get retryAfter(): Duration.Duration | undefined {
    return this.retryAfterMillis === undefined ? undefined : Duration.millis(this.retryAfterMillis)
  }

  abstract get message(): string
}

const comeBack = (millis: number | undefined): string =>
  millis === undefined ? "" : `; come back in ${Duration.format(Duration.millis(Math.ceil(millis)))}`

/** Our breaker is open: the vendor has been failing, and is left alone. */
export class CircuitOpen extends ReasonBase<"CircuitOpen"> {
  constructor(retryAfterMillis: number | undefined) {
    super("CircuitOpen", "NotSent", true, retryAfterMillis)
  }
  get message() {
    return `the circuit breaker is open${comeBack(this.retryAfterMillis)}`
  }
}

/** Our rate limit refused: the queue is full, or the wait would be too long. */
export class RateLimitExceeded extends ReasonBase<"RateLimitExceeded"> {
  constructor(retryAfterMillis: number | undefined) {
    super("RateLimitExceeded", "NotSent", true, retryAfterMillis)
  }
  get message() {
    return `our own rate limit is reached${comeBack(this.retryAfterMillis)}`
  }
}

/** Our bulkhead refused: as many calls as allowed are running and waiting. */
export class BulkheadFull extends ReasonBase<"BulkheadFull"> {
  constructor(retryAfterMillis?: number) {
    super("BulkheadFull", "NotSent", true, retryAfterMillis)
  }
  get message() {
    return "too many calls are running and waiting"
  }
}

/** The vendor has been turning away what we send: this call stands in for one that it would have turned away. */
export class Throttled extends ReasonBase<"Throttled"> {
  constructor() {
    super("Throttled", "NotSent", true)
  }
  get message() {
    return "the vendor turns away much of what is sent, so less is sent"
  }
}

/** The operation's deadline has passed, or is too near for what would come next. */
export class DeadlineExceeded extends ReasonBase<"DeadlineExceeded"> {
  constructor(fate: Fate, retryAfterMillis?: number) {
    super("DeadlineExceeded", fate, true, retryAfterMillis)
  }
  get message() {
    return `the deadline of the operation has passed${comeBack(this.retryAfterMillis)}`
  }
}

/** The attempt took too long; `phase` says what it was waiting for. */
export class Timeout extends ReasonBase<"Timeout"> {
  readonly phase: Phase
  readonly limitMillis: number
  /** `fate` is for a request that had been redirected before it waited. */
  constructor(phase: Phase, limitMillis: number, fate: Fate = phase === "Connect" ? "NotSent" : "Unknown") {
    super("Timeout", fate, true)
    this.phase = phase
    this.limitMillis = limitMillis
  }
  /** The limit that was reached. */
  get limit(): Duration.Duration {
    return Duration.millis(this.limitMillis)
  }
  get message() {
    return `timed out after ${Duration.format(this.limit)} while waiting for ${
      this.phase === "Connect" ? "a connection" : this.phase === "Headers" ? "an answer" : "the body"
    }`
  }
}

/** Why no connection came about. */
export type ConnectFailure = "Dns" | "Forbidden" | "Pin" | "Proxy" | "Refused" | "Tls" | "Unreachable"

/**
 * No connection: the name is unknown, the address is not to be connected to, nobody listens, the certificate is not
 * trusted or not the pinned one, the proxy or the network is down.
 */
export class ConnectFailed extends ReasonBase<"ConnectFailed"> {
  readonly failure: ConnectFailure
  /** `fate` is for a request that had been redirected before it was to be connected. */
  constructor(failure: ConnectFailure, fate: Fate = "NotSent") {
    super("ConnectFailed", fate, failure !== "Tls" && failure !== "Pin" && failure !== "Forbidden")
    this.failure = failure
  }
  get message() {
    switch (this.failure) {
      case "Dns":
        return "the vendor's host name could not be resolved"
      case "Forbidden":
        return "the vendor's address is none that may be connected to"
      case "Pin":
        return "the vendor's certificate is not one of those that are pinned"
      case "Proxy":
        return "the proxy on the way to the vendor made no connection"
      case "Refused":
        return "the vendor refused the connection"
      case "Tls":
        return "no trusted TLS connection could be made"
      case "Unreachable":
        return "the vendor could not be reached"
    }
  }
}

/** The connection ended after bytes had left and before the answer was whole. */
export class ConnectionLost extends ReasonBase<"ConnectionLost"> {
  readonly phase: Exclude<Phase, "Connect">
  constructor(phase: Exclude<Phase, "Connect">) {
    super("ConnectionLost", "Unknown", true)
    this.phase = phase
  }
  get message() {
    return `the connection was lost while waiting for ${this.phase === "Headers" ? "an answer" : "the body"}`
  }
}

/** The vendor answered that it cannot serve now (5xx, 408), which does not say that it did nothing. */
export class Unavailable extends ReasonBase<"Unavailable"> {
  readonly status: number
  constructor(status: number, options?: {
    readonly retryAfterMillis?: number | undefined
    readonly isRetryable?: boolean | undefined
    readonly fate?: Fate | undefined
  }) {
    super("Unavailable", options?.fate ?? "Unknown", options?.isRetryable ?? true, options?.retryAfterMillis)
    this.status = status
  }
  get message() {
    return `the vendor is unavailable (status ${this.status})${comeBack(this.retryAfterMillis)}`
  }
}

/** The vendor refused because of its own rate limit (429). */
export class RateLimited extends ReasonBase<"RateLimited"> {
  readonly status: number
  constructor(status: number, options?: {
    readonly retryAfterMillis?: number | undefined
    readonly isRetryable?: boolean | undefined
  }) {
    super("RateLimited", "Rejected", options?.isRetryable ?? true, options?.retryAfterMillis)
    this.status = status
  }
  get message() {
    return `the vendor's rate limit is reached${comeBack(this.retryAfterMillis)}`
  }
}

/** The vendor is still busy with the same thing (409): the same idempotency key in flight, or a locked object. */
export class Conflict extends ReasonBase<"Conflict"> {
  readonly status: number
  constructor(status: number, options?: {
    readonly retryAfterMillis?: number | undefined
    readonly isRetryable?: boolean | undefined
  }) {
    super("Conflict", "Unknown", options?.isRetryable ?? true, options?.retryAfterMillis)
    this.status = status
  }
  get message() {
    return "the vendor reports a conflict with a call that is still running"
  }
}

/** The vendor does not accept our credential (401, 403). */
export class Unauthorized extends ReasonBase<"Unauthorized"> {
  readonly status: number
  constructor(status: number) {
    super("Unauthorized", "Rejected", false)
    this.status = status
  }
  get message() {
    return `the vendor did not accept our credential (status ${this.status})`
  }
}

/** The vendor refused the request as such (any other 4xx that the contract does not declare). */
export class RequestRejected extends ReasonBase<"RequestRejected"> {
  readonly status: number
  constructor(status: number, options?: { readonly isRetryable?: boolean | undefined }) {
    super("RequestRejected", "Rejected", options?.isRetryable ?? false)
    this.status = status
  }
  get message() {
    return `the vendor rejected the request (status ${this.status})`
  }
}

/** The input does not fit the contract; nothing was sent. `issue` names the place, never the value. */
export class InvalidRequest extends ReasonBase<"InvalidRequest"> {
  readonly issue: string
  constructor(issue: string) {
    super("InvalidRequest", "NotSent", false)
    this.issue = issue
  }
  get message() {
    return `the request does not fit the contract: ${this.issue}`
  }
}

/** The answer cannot be trusted: not HTTP, not JSON, or not what the contract says. `sample` shows its shape, no value. */
export class InvalidResponse extends ReasonBase<"InvalidResponse"> {
  readonly status: number | undefined
  readonly issue: string
  readonly sample: string | undefined
  constructor(status: number | undefined, issue: string, sample?: string) {
    super("InvalidResponse", "Unknown", false)
    this.status = status
    this.issue = issue
    this.sample = sample
  }
  get message() {
    return `the answer does not fit the contract: ${this.issue}`
  }
}

/** The answer is larger than allowed; reading stopped at the limit. */
export class ResponseTooLarge extends ReasonBase<"ResponseTooLarge"> {
  readonly limitBytes: number
  constructor(limitBytes: number) {
    super("ResponseTooLarge", "Unknown", false)
    this.limitBytes = limitBytes
  }
  get message() {
    return `the answer is larger than ${this.limitBytes} bytes`
  }
}

/** Why there is no credential: no source has it, the vendor has refused it, the source cannot be asked. */
export type CredentialProblem = "Missing" | "Refused" | "Unreachable"

/** There is no credential to call with; nothing was sent. `credential` is its name. */
export class CredentialUnavailable extends ReasonBase<"CredentialUnavailable"> {
  readonly credential: string
  readonly problem: CredentialProblem
  constructor(credential: string, problem: CredentialProblem = "Missing", retryAfterMillis?: number) {
    super("CredentialUnavailable", "NotSent", problem === "Unreachable", retryAfterMillis)
    this.credential = credential
    this.problem = problem
  }
  get message() {
    switch (this.problem) {
      case "Missing":
        return `the credential ${this.credential} is not available`
      case "Refused":
        return `the credential ${this.credential} was refused by the vendor, and there is no newer one`
      case "Unreachable":
        return `the source of the credential ${this.credential} cannot be reached`
    }
  }
}

/** Every reason a vendor call can fail for. The set is closed. */
export type Reason =
  | CircuitOpen
  | RateLimitExceeded
  | BulkheadFull
  | Throttled
  | DeadlineExceeded
  | Timeout
  | ConnectFailed
  | ConnectionLost
  | Unavailable
  | RateLimited
  | Conflict
  | Unauthorized
  | RequestRejected
  | InvalidRequest
  | InvalidResponse
  | ResponseTooLarge
  | CredentialUnavailable
