/**
 * An attempt that proves who we are. The secret is read by each, and held by none: when the vendor refuses it, its source
 * is asked for another, once, and the same request is sent with that, once. What is refused then is dead.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import { type CredentialRequest, Credentials, environmentName } from "../../credentials/Credential.ts"
import type { Refusals } from "../../credentials/Refusals.ts"
import type { Quota } from "../../Outcome.ts"
import { CredentialUnavailable, type Reason } from "../../Reason.ts"
import type { Attempt } from "../../stack/Leaf.ts"
import * as Telemetry from "../../Telemetry.ts"
import type { Auth } from "../Declaration.ts"

/** What an answer means: what the contract says it is, or why it is none. */
export type Meaning = Exit.Exit<unknown, unknown> | Reason

/** Sends the request with a secret. `settle` hears what the answer means; how to cancel it is returned. */
export type Send = (secret: Redacted.Redacted, settle: (meaning: Meaning, quota?: Quota) => void) => () => void

/** The header that carries a secret. */
export const authHeader = (auth: Auth, secret: Redacted.Redacted): [name: string, value: string] => {
  switch (auth._tag) {
    case "Bearer":
      return ["authorization", `Bearer ${Redacted.value(secret)}`]
    case "Header":
      return [auth.name, `${auth.prefix ?? ""}${Redacted.value(secret)}`]
    case "Basic":
      return [
        "authorization",
        `Basic ${Buffer.from(`${auth.user}:${Redacted.value(secret)}`).toString("base64")}`
      ]
  }
}

export class Authorized {
  private readonly attempt: Attempt<unknown, unknown>
  private readonly request: CredentialRequest
  private readonly refusals: Refusals
  private readonly send: Send
  private readonly credentials: Credentials
  private cancelStep: () => void = () => {}

  constructor(attempt: Attempt<unknown, unknown>, request: CredentialRequest, refusals: Refusals, send: Send) {
    this.attempt = attempt
    this.request = request
    this.refusals = refusals
    this.send = send
    this.credentials = Context.get(attempt.context, Credentials)
  }

  /** Begins, and returns how to cancel. */
  begin(): () => void {
    this.obtain(this.credentials.read(this.request), (secret) => this.sendFirst(secret), (problem) => {
      this.attempt.fail(problem)
    })
    return () => this.cancelStep()
  }

  private sendFirst(secret: Redacted.Redacted): void {
    const pause = this.refusals.pause(this.request.key, secret, this.attempt.now)
    if (pause > 0) return this.attempt.fail(new CredentialUnavailable(this.name, "Refused", pause))
    this.cancelStep = this.send(secret, (meaning, quota) => {
      if (isRefusal(meaning)) this.renew(secret, meaning, quota)
      else this.settle(meaning, quota)
    })
  }

  private renew(refused: Redacted.Redacted, refusal: Reason, quota: Quota | undefined): void {
    const { attempt, credentials, refusals, request } = this
    Telemetry.counter(attempt.context, Telemetry.credentialRefusals, { vendor: request.vendor }).count++
    attempt.phase("Connect")
    this.obtain(credentials.renew?.(request, refused) ?? credentials.read(request), (secret) => {
      if (Redacted.value(secret) === Redacted.value(refused)) return this.giveUp(refused, false, refusal, quota)
      if (refusals.pause(request.key, secret, attempt.now) > 0) return this.giveUp(refused, true, refusal, quota)
      attempt.status = undefined
      this.cancelStep = this.send(secret, (meaning, quota) => {
        if (isRefusal(meaning)) this.giveUp(secret, true, meaning, quota)
        else this.settle(meaning, quota)
      })
    }, () => this.giveUp(refused, false, refusal, quota))
  }

  private giveUp(refused: Redacted.Redacted, isSecond: boolean, refusal: Reason, quota: Quota | undefined): void {
    const { attempt, refusals, request } = this
    if (refusals.refuse(request.key, refused, attempt.now, isSecond)) {
      this.log(Effect.logError(`the vendor does not accept the credential ${this.name} any more: calls are not sent`))
    }
    attempt.fail(refusal, quota)
  }

  private settle(meaning: Meaning, quota: Quota | undefined): void {
    const { attempt, refusals, request } = this
    if (!Exit.isExit(meaning)) return attempt.fail(meaning, quota)
    if (refusals.accept(request.key)) {
      this.log(Effect.logInfo(`the vendor accepts the credential ${this.name} again`))
    }
    attempt.answer(meaning, quota)
  }

  /** Reads a secret, at once where it can be, and goes on with it. */
  private obtain(
    read: Effect.Effect<Redacted.Redacted, CredentialUnavailable>,
    use: (secret: Redacted.Redacted) => void,
    orElse: (problem: CredentialUnavailable) => void
  ): void {
    const go = (exit: Exit.Exit<Redacted.Redacted, CredentialUnavailable>) => {
      if (Exit.isSuccess(exit)) return use(exit.value)
      const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
      if (failure === undefined) this.attempt.answer(exit)
      else orElse(failure.error)
    }
    if (Exit.isExit(read)) return go(read as Exit.Exit<Redacted.Redacted, CredentialUnavailable>)
    const fiber = Effect.runForkWith(this.attempt.context)(read)
    this.cancelStep = () => fiber.interruptUnsafe()
    fiber.addObserver(go)
  }

  private get name(): string {
    return environmentName(this.request)
  }

  private log(message: Effect.Effect<void>): void {
    Effect.runForkWith(this.attempt.context)(
      Effect.annotateLogs(message, { vendor: this.request.vendor, key: this.request.key })
    )
  }
}

/** A 403 says that we may not do this, not that we are nobody. */
const isRefusal = (meaning: Meaning): meaning is Reason =>
  !Exit.isExit(meaning) && meaning._tag === "Unauthorized" && meaning.status === 401
