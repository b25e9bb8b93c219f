/**
 * Authenticates a request. Each attempt reads the secret, and none keeps it. If the vendor refuses the secret, the
 * source is asked once for another, and the same request is sent once more with that. A secret refused then is dead.
 * A secret that was revoked by hand is not sent, and cuts the requests in flight with it.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type CredentialRequest, environmentName } from "../../credentials/Credential.ts"
import type { InFlight } from "../../credentials/Revocations.ts"
import { fateIn } from "../../Phase.ts"
import { CredentialRevoked, CredentialUnavailable } from "../../Reason.ts"
import { mayRepeat, type Safety } from "../../Safety.ts"
import type { Attempt } from "../../stack/Leaf.ts"
import * as Timeline from "../../Timeline.ts"
import type { Auth } from "../Declaration.ts"
import { headerOf, type Holder, isUsable, type Secrets } from "../Secrets.ts"
import type { Request } from "./Request.ts"
import type { Response } from "./Response.ts"
import type { Meaning, Settle, Step } from "./Step.ts"

/** What the authenticated requests of one operation have in common. */
export interface Authenticating {
  readonly vendor: string
  readonly operation: string
  readonly safety: Safety
  readonly auth: Auth
  readonly secrets: Secrets
}

/** Adds the secret of the call's key to its requests. */
export const step = (operation: Authenticating, next: Step): Step => (request, attempt, settle) =>
  new Authentication(operation, next, request, attempt, settle).begin()

/** One attempt to make a request with a secret that the vendor accepts. */
class Authentication implements InFlight {
  carried: Redacted.Redacted | undefined = undefined
  before: InFlight | undefined = undefined
  after: InFlight | undefined = undefined
  private readonly operation: Authenticating
  private readonly next: Step
  private readonly request: Request
  private readonly attempt: Attempt<unknown, unknown>
  private readonly settle: Settle
  private readonly asked: CredentialRequest
  private readonly holder: Holder
  private cancelStep: () => void = nothing

  constructor(
    operation: Authenticating,
    next: Step,
    request: Request,
    attempt: Attempt<unknown, unknown>,
    settle: Settle
  ) {
    this.operation = operation
    this.next = next
    this.request = request
    this.attempt = attempt
    this.settle = settle
    this.asked = { vendor: operation.vendor, key: request.key }
    this.holder = operation.secrets.of(attempt.context)
  }

  /** Begins the attempt, and returns a function that cancels it. */
  begin(): () => void {
    this.obtain(this.read(), (secret) => this.sendFirst(secret), this.settle)
    return () => this.stop()
  }

  /** See {@link InFlight}. The vendor may act on the request, which is sent once more only where that does no harm. */
  cut(): void {
    const { attempt, carried: revoked, operation: { safety } } = this
    const fate = fateIn(attempt.currentPhase)
    this.stop()
    if (revoked === undefined || !mayRepeat(safety, fate)) {
      return this.settle(new CredentialRevoked(this.name, fate))
    }
    attempt.cutOff(fate)
    this.replace(revoked, (secret) => attempt.again(fate, () => this.sendFirst(secret)))
  }

  private sendFirst(secret: Redacted.Redacted): void {
    const { asked: { key }, holder: { refusals }, operation: { operation } } = this
    if (this.isRevoked(secret)) return this.replace(secret, (secret) => this.sendFirst(secret))
    const sentAt = this.elapsed
    const pause = refusals.pause(key, operation, secret, sentAt)
    if (pause > 0) return this.settle(new CredentialUnavailable(this.name, "Refused", pause))
    this.send(secret, (meaning, response) => {
      this.leave()
      if (isRefusal(meaning)) this.renew(secret, sentAt, meaning, response)
      else this.end(secret, meaning, response)
    })
  }

  /** Asks for the successor of a revoked secret. */
  private replace(revoked: Redacted.Redacted, use: (secret: Redacted.Redacted) => void): void {
    this.obtain(this.read(revoked), (secret) => {
      if (this.isRevoked(secret)) this.settle(new CredentialUnavailable(this.name, "Revoked"))
      else use(secret)
    }, this.settle)
  }

  private renew(
    refused: Redacted.Redacted,
    sentAt: number,
    refusal: Meaning,
    response: Response | undefined
  ): void {
    const { asked: { key }, attempt, holder: { refusals }, operation: { operation, secrets } } = this
    secrets.refused.count++
    this.obtain(this.read(refused), (secret) => {
      if (isSame(secret, refused) || this.isRevoked(secret)) {
        return this.giveUp(refused, sentAt, false, refusal, response)
      }
      if (refusals.pause(key, operation, secret, this.elapsed) > 0) {
        return this.giveUp(refused, sentAt, true, refusal, response)
      }
      // A vendor that refuses a credential has done nothing.
      attempt.again("NotSent", () => {
        const resentAt = this.elapsed
        this.send(secret, (meaning, response) => {
          this.leave()
          if (isRefusal(meaning)) this.giveUp(secret, resentAt, true, meaning, response)
          else this.end(secret, meaning, response)
        })
      })
    }, () => this.giveUp(refused, sentAt, false, refusal, response))
  }

  /** Sends the request with a secret; `settle` must {@link leave} first. */
  private send(secret: Redacted.Redacted, settle: Settle): void {
    const { attempt, operation: { auth, secrets: { revocations } } } = this
    // It may have been revoked while the request waited for its permit.
    if (revocations.has(secret)) return this.settle(new CredentialUnavailable(this.name, "Revoked"))
    const header = headerOf(auth, secret)
    if (header === undefined) return this.settle(this.unusable)
    attempt.status = undefined
    if (attempt.currentPhase !== "Connect") attempt.phase("Connect")
    this.carried = secret
    revocations.entered(this)
    try {
      this.cancelStep = this.next(this.request.with(...header), attempt, settle)
    } catch (defect) {
      this.leave()
      this.settle(Exit.die(defect))
    }
  }

  private leave(): void {
    if (this.carried === undefined) return
    this.carried = undefined
    this.operation.secrets.revocations.left(this)
  }

  private stop(): void {
    this.leave()
    const cancel = this.cancelStep
    this.cancelStep = nothing
    cancel()
  }

  private isRevoked(secret: Redacted.Redacted): boolean {
    return this.operation.secrets.revocations.has(secret)
  }

  private giveUp(
    secret: Redacted.Redacted,
    sentAt: number,
    isSecond: boolean,
    refusal: Meaning,
    response: Response | undefined
  ): void {
    const { asked: { key }, elapsed: now, holder, operation: { operation } } = this
    switch (holder.refusals.refuse({ key, operation, secret, sentAt, now, isSecond })) {
      case "Secret":
        this.log(
          Effect.logError(`the vendor no longer accepts the credential ${this.name}: calls with it are not sent`)
        )
        break
      case "Operation":
        this.log(
          Effect.logError(`the vendor no longer accepts the credential ${this.name} for ${operation}: it is not called`)
        )
        break
      case undefined:
    }
    this.settle(refusal, response)
  }

  private end(secret: Redacted.Redacted, meaning: Meaning, response: Response | undefined): void {
    const { asked: { key }, holder: { refusals }, operation: { operation } } = this
    // A contract may declare a 401, which is not an acceptance.
    if (Exit.isExit(meaning) && response?.status !== 401 && refusals.accept(key, operation, secret)) {
      this.log(Effect.logInfo(`the vendor accepts the credential ${this.name} again`))
    }
    const isUnsent = !Exit.isExit(meaning) && meaning._tag === "InvalidRequest"
    this.settle(isUnsent && !isUsable(this.operation.auth, secret) ? this.unusable : meaning, response)
  }

  private get unusable(): CredentialUnavailable {
    return new CredentialUnavailable(this.name, "Unusable")
  }

  /** Reads the secret, or the successor of an old one. */
  private read(old?: Redacted.Redacted): Effect.Effect<Redacted.Redacted, CredentialUnavailable> {
    const { asked, holder: { credentials } } = this
    try {
      return (old === undefined ? undefined : credentials.renew?.(asked, old)) ?? credentials.read(asked)
    } catch (defect) {
      // The call must still end, also if a response has led here.
      return Exit.die(defect)
    }
  }

  /** Waits for a secret, unless its source has it at once, and continues with it. */
  private obtain(
    read: Effect.Effect<Redacted.Redacted, CredentialUnavailable>,
    use: (secret: Redacted.Redacted) => void,
    orElse: (problem: CredentialUnavailable) => void
  ): void {
    const go = (exit: Exit.Exit<Redacted.Redacted, CredentialUnavailable>) => {
      if (Exit.isSuccess(exit)) return use(exit.value)
      const failure = Exit.findErrorOption(exit)
      if (Option.isNone(failure)) this.settle(exit)
      else orElse(failure.value)
    }
    if (Exit.isExit(read)) return go(read as Exit.Exit<Redacted.Redacted, CredentialUnavailable>)
    this.attempt.phase("Secret")
    const fiber = this.holder.fork(read, this.attempt.context)
    this.cancelStep = () => fiber.interruptUnsafe()
    fiber.addObserver((exit) => {
      this.attempt.phase("Connect")
      go(exit)
    })
  }

  /** The time by which refusals age. */
  private get elapsed(): number {
    return Timeline.ofContext(this.attempt.context).elapsed()
  }

  private get name(): string {
    return environmentName(this.asked)
  }

  private log(message: Effect.Effect<void>): void {
    Effect.runForkWith(this.attempt.context)(
      Effect.annotateLogs(message, { vendor: this.asked.vendor, key: this.asked.key })
    )
  }
}

/** Whether the vendor refused the credential, with an error that the contract declares or without. */
const isRefusal = (meaning: Meaning): meaning is Exclude<Meaning, Exit.Exit<unknown, unknown>> => {
  if (Exit.isExit(meaning)) return false
  const reason = meaning._tag === "Declared" ? meaning.reason : meaning
  // A 403 says that the credential lacks a permission, not that it is invalid.
  return reason._tag === "Unauthorized" && reason.status === 401
}

const isSame = (a: Redacted.Redacted, b: Redacted.Redacted): boolean => Redacted.value(a) === Redacted.value(b)

const nothing = () => {}
