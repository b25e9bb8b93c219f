/**
 * The closed set of reasons a vendor call can fail for. Each reason says what became of the attempt, whether the same
 * call may succeed later, and when to come back.
 *
 * Reasons are plain objects without stack trace or schema construction, because a refusal must cost almost nothing when
 * every call is refused. No reason holds text from the vendor, a header, a URL or a body.
 */
import * as Duration from "effect/Duration"
import { fateIn, type Phase } from "./Phase.ts"
import { type Fate, isFate } from "./Safety.ts"

export type { Phase } from "./Phase.ts"
export * as Facts from "./Reason/Facts.ts"

abstract class ReasonBase<Tag extends string> {
  declare readonly _tag: Tag
  /** What became of the attempt that failed for this reason. */
  declare readonly fate: Fate
  /** Whether the same call may succeed later. Its `Safety` and `Fate` decide whether it may be repeated. */
  declare readonly isRetryable: boolean
  /** Milliseconds to wait before the next call, if the vendor or gate that refused gave a time. */
  declare readonly retryAfterMillis: number | undefined

  constructor(tag: Tag, fate: Fate, isRetryable: boolean, retryAfterMillis?: number) {
    this._tag = tag
    this.fate = fate
    this.isRetryable = isRetryable
    // A reason may come from a user's function. What is not a time was not said.
    this.retryAfterMillis = retryAfterMillis !== undefined && retryAfterMillis >= 0 ? retryAfterMillis : undefined
  }

  /** The time to wait before the next call, if the vendor or gate that refused gave one. */
  get retryAfter(): Duration.Duration | undefined {
    return this.retryAfterMillis === undefined ? undefined : Duration.millis(this.retryAfterMillis)
  }

  abstract get message(): string
}

const comeBack = (millis: number | undefined): string =>
  millis === undefined ? "" : `; come back in ${Duration.format(Duration.millis(Math.ceil(millis)))}`

/** Our breaker is open: the vendor has been failing, so calls are held back. */
export class CircuitOpen extends ReasonBase<"CircuitOpen"> {
  constructor(retryAfterMillis: number | undefined) {
    super("CircuitOpen", "NotSent", true, retryAfterMillis)
  }
  get message() {
    return `the circuit breaker is open${comeBack(this.retryAfterMillis)}`
  }
}

/** Our rate limit refused the call: the queue is full, or the wait for it or for the vendor would be too long. */
export class RateLimitExceeded extends ReasonBase<"RateLimitExceeded"> {
  constructor(retryAfterMillis: number | undefined) {
    super("RateLimitExceeded", "NotSent", true, retryAfterMillis)
  }
  get message() {
    return `the rate limit lets no call through now${comeBack(this.retryAfterMillis)}`
  }
}

/** Our bulkhead refused the call: the limits on running and on waiting calls are both reached. */
export class BulkheadFull extends ReasonBase<"BulkheadFull"> {
  constructor(retryAfterMillis?: number) {
    super("BulkheadFull", "NotSent", true, retryAfterMillis)
  }
  get message() {
    return "too many calls are running and waiting"
  }
}

/** Our throttle refused the call, because the vendor has been rejecting a large share of recent calls. */
export class Throttled extends ReasonBase<"Throttled"> {
  constructor() {
    super("Throttled", "NotSent", true)
  }
  get message() {
    return "throttled: the vendor is rejecting a large share of recent calls"
  }
}

/** The operation's deadline has passed, or leaves too little time for the next step. */
export class DeadlineExceeded extends ReasonBase<"DeadlineExceeded"> {
  /**
   * Whether the vendor had a fair share of time: at least two thirds of what an attempt may take. Only then is it evidence
   * that the vendor is slow; otherwise the caller was in a hurry, or the time was spent on our side.
   */
  readonly wasFair: boolean
  constructor(fate: Fate, options?: {
    readonly retryAfterMillis?: number | undefined
    /** @default false */
    readonly wasFair?: boolean | undefined
  }) {
    super("DeadlineExceeded", fate, true, options?.retryAfterMillis)
    this.wasFair = options?.wasFair ?? false
  }
  get message() {
    return `the deadline of the operation has passed${comeBack(this.retryAfterMillis)}`
  }
}

const awaited: Record<Phase, string> = {
  Queue: "a free connection or a permit of our own",
  Secret: "the source of the credential",
  Connect: "a connection",
  Headers: "a response",
  Body: "the body"
}

/** The attempt took too long. `phase` is the step that it was waiting for. */
export class Timeout extends ReasonBase<"Timeout"> {
  readonly phase: Phase
  readonly limitMillis: number
  /** Pass `fate` for a request that was redirected before this wait. */
  constructor(phase: Phase, limitMillis: number, fate: Fate = fateIn(phase)) {
    super("Timeout", fate, true)
    this.phase = phase
    this.limitMillis = limitMillis
  }
  /** The limit that was reached. */
  get limit(): Duration.Duration {
    return Duration.millis(this.limitMillis)
  }
  get message() {
    return `timed out after ${Duration.format(this.limit)} while waiting for ${awaited[this.phase]}`
  }
}

/** The cause of a failed connection. */
export type ConnectFailure = "Dns" | "Forbidden" | "Pin" | "Proxy" | "Refused" | "Tls" | "Unreachable"

/**
 * No connection: the host name is unknown, the address is not allowed, or nothing listens there. Or the certificate is
 * not trusted or not the pinned one, or the proxy or the network is down.
 */
export class ConnectFailed extends ReasonBase<"ConnectFailed"> {
  readonly failure: ConnectFailure
  /** Pass `fate` for a request that was redirected before this connection was tried. */
  constructor(failure: ConnectFailure, fate: Fate = "NotSent") {
    super("ConnectFailed", fate, failure !== "Tls" && failure !== "Pin" && failure !== "Forbidden")
    this.failure = failure
  }
  get message() {
    switch (this.failure) {
      case "Dns":
        return "the vendor's host name could not be resolved"
      case "Forbidden":
        return "the vendor's address is not allowed: private, loopback or reserved"
      case "Pin":
        return "the vendor's certificate does not match a pinned key"
      case "Proxy":
        return "the proxy did not open a connection to the vendor"
      case "Refused":
        return "the vendor refused the connection"
      case "Tls":
        return "no trusted TLS connection could be established"
      case "Unreachable":
        return "the vendor could not be reached"
    }
  }
}

/** The connection ended after bytes had been sent and before the response was complete. */
export class ConnectionLost extends ReasonBase<"ConnectionLost"> {
  readonly phase: "Headers" | "Body"
  constructor(phase: "Headers" | "Body") {
    super("ConnectionLost", "Unknown", true)
    this.phase = phase
  }
  get message() {
    return `the connection was lost while waiting for ${this.phase === "Headers" ? "a response" : "the body"}`
  }
}

/** The vendor responded that it cannot serve now (5xx, 408). It may still have acted on the request. */
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

/** The vendor rejected the call because of its own rate limit (429, or a 403 that says when to come back). */
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

/** The vendor reports a conflict (409): the same idempotency key is in flight, or the object is locked. */
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

/** The vendor rejected our credential (401). */
export class Unauthorized extends ReasonBase<"Unauthorized"> {
  readonly status: number
  constructor(status: number) {
    super("Unauthorized", "Rejected", false)
    this.status = status
  }
  get message() {
    return `the vendor rejected our credential (status ${this.status})`
  }
}

/** The vendor rejected the request itself: any other 4xx that the contract does not declare, a 403 among them. */
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

/** The input does not fit the contract, and nothing was sent. `issue` names the place, never the value. */
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

/**
 * The response cannot be used: it is not HTTP, not JSON, or breaks the contract. `sample` shows its shape and no
 * values.
 */
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
    return `the response is invalid: ${this.issue}`
  }
}

/** The response is larger than allowed; reading stopped at the limit. */
export class ResponseTooLarge extends ReasonBase<"ResponseTooLarge"> {
  readonly limitBytes: number
  constructor(limitBytes: number) {
    super("ResponseTooLarge", "Unknown", false)
    this.limitBytes = limitBytes
  }
  get message() {
    return `the response is larger than ${this.limitBytes} bytes`
  }
}

/**
 * The cause of a missing credential: no source has it, the vendor refused it, it was revoked by hand, the source cannot
 * be reached, or no header can carry it.
 */
export type CredentialProblem = "Missing" | "Refused" | "Revoked" | "Unreachable" | "Unusable"

/** No credential is available, so nothing was sent. `credential` is its name. */
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
      case "Revoked":
        return `the credential ${this.credential} was revoked, and there is no newer one`
      case "Unreachable":
        return `the source of the credential ${this.credential} cannot be reached`
      case "Unusable":
        return `the credential ${this.credential} must be visible ASCII without blanks at its ends`
    }
  }
}

/** The credential was revoked by hand while the attempt was in flight, which was cut. `credential` is its name. */
export class CredentialRevoked extends ReasonBase<"CredentialRevoked"> {
  readonly credential: string
  constructor(credential: string, fate: Fate) {
    super("CredentialRevoked", fate, true)
    this.credential = credential
  }
  get message() {
    return `the credential ${this.credential} was revoked during the call`
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
  | CredentialRevoked

/**
 * Whether a value is a reason, from this copy of the package or another one. What foreign code returns as a reason is
 * checked with it before anything acts on it.
 */
export const isReason = (u: unknown): u is Reason =>
  typeof u === "object" && u !== null && "_tag" in u && typeof u._tag === "string" &&
  "fate" in u && isFate(u.fate) && "isRetryable" in u
