/**
 * Authenticates a request. Each attempt reads the secret, and none keeps it. If the vendor refuses the secret, the
 * source is asked once for another, and the same request is sent once more with that. A secret refused then is dead.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { type CredentialRequest, Credentials, environmentName } from "../../credentials/Credential.ts"
import type { Refusals } from "../../credentials/Refusals.ts"
import { CredentialUnavailable, type Reason } from "../../Reason.ts"
import type { Attempt } from "../../stack/Leaf.ts"
import * as Telemetry from "../../Telemetry.ts"
import * as Timeline from "../../Timeline.ts"
import * as BasicAuth from "../../transport/BasicAuth.ts"
import type { Auth } from "../Declaration.ts"
import type { Request } from "./Request.ts"
import type { Response } from "./Response.ts"
import type { Meaning, Settle, Step } from "./Step.ts"

/** The header that carries a secret. */
export const authHeader = (auth: Auth, secret: Redacted.Redacted): [name: string, value: string] => {
  switch (auth._tag) {
    case "Bearer":
      return ["authorization", `Bearer ${Redacted.value(secret)}`]
    case "Header":
      return [auth.name, `${auth.prefix ?? ""}${Redacted.value(secret)}`]
    case "Basic":
      return ["authorization", BasicAuth.encode(auth.user, Redacted.value(secret))]
  }
}

/** Adds the secret of the call's key to its requests. */
export const step = (vendor: string, auth: Auth, refusals: Refusals, next: Step): Step => (request, attempt, settle) =>
  new Authentication(vendor, auth, refusals, next, request, attempt, settle).begin()

/** One attempt to make a request with a secret that the vendor accepts. */
class Authentication {
  private readonly auth: Auth
  private readonly refusals: Refusals
  private readonly next: Step
  private readonly request: Request
  private readonly attempt: Attempt<unknown, unknown>
  private readonly settle: Settle
  private readonly asked: CredentialRequest
  private readonly credentials: Credentials
  private cancelStep: () => void = () => {}

  constructor(
    vendor: string,
    auth: Auth,
    refusals: Refusals,
    next: Step,
    request: Request,
    attempt: Attempt<unknown, unknown>,
    settle: Settle
  ) {
    this.auth = auth
    this.refusals = refusals
    this.next = next
    this.request = request
    this.attempt = attempt
    this.settle = settle
    this.asked = { vendor, key: request.key }
    this.credentials = Context.get(attempt.context, Credentials)
  }

  /** Begins the attempt, and returns a function that cancels it. */
  begin(): () => void {
    this.obtain(this.credentials.read(this.asked), (secret) => this.sendFirst(secret), this.settle)
    return () => this.cancelStep()
  }

  private sendFirst(secret: Redacted.Redacted): void {
    const pause = this.refusals.pause(this.asked.key, secret, this.elapsed)
    if (pause > 0) return this.settle(new CredentialUnavailable(this.name, "Refused", pause))
    this.send(secret, (meaning, response) => {
      if (isRefusal(meaning)) this.renew(secret, meaning, response)
      else this.end(meaning, response)
    })
  }

  private renew(refused: Redacted.Redacted, refusal: Reason, response: Response | undefined): void {
    const { asked, attempt, credentials, refusals } = this
    Telemetry.counter(attempt.context, Telemetry.credentialRefusals, { vendor: asked.vendor }).count++
    this.obtain(credentials.renew?.(asked, refused) ?? credentials.read(asked), (secret) => {
      if (Redacted.value(secret) === Redacted.value(refused)) return this.giveUp(refused, false, refusal, response)
      if (refusals.pause(asked.key, secret, this.elapsed) > 0) return this.giveUp(refused, true, refusal, response)
      attempt.status = undefined
      // A vendor that refuses a credential has done nothing.
      attempt.again("NotSent", () => {
        attempt.phase("Connect")
        this.send(secret, (meaning, response) => {
          if (isRefusal(meaning)) this.giveUp(secret, true, meaning, response)
          else this.end(meaning, response)
        })
      })
    }, () => this.giveUp(refused, false, refusal, response))
  }

  private send(secret: Redacted.Redacted, settle: Settle): void {
    this.cancelStep = this.next(this.request.with(...authHeader(this.auth, secret)), this.attempt, settle)
  }

  private giveUp(
    refused: Redacted.Redacted,
    isSecond: boolean,
    refusal: Reason,
    response: Response | undefined
  ): void {
    const { asked, refusals } = this
    if (refusals.refuse(asked.key, refused, this.elapsed, isSecond)) {
      this.log(Effect.logError(`the vendor no longer accepts the credential ${this.name}: calls with it are not sent`))
    }
    this.settle(refusal, response)
  }

  private end(meaning: Meaning, response: Response | undefined): void {
    if (Exit.isExit(meaning) && this.refusals.accept(this.asked.key)) {
      this.log(Effect.logInfo(`the vendor accepts the credential ${this.name} again`))
    }
    this.settle(meaning, response)
  }

  /** Reads a secret, synchronously where the source allows it, and continues with it. */
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
    const fiber = Effect.runForkWith(this.attempt.context)(read)
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

/** A 403 says that the credential lacks a permission, not that it is invalid. */
const isRefusal = (meaning: Meaning): meaning is Reason =>
  !Exit.isExit(meaning) && meaning._tag === "Unauthorized" && meaning.status === 401
