/**
 * The secrets of a client's calls. A client reads them from the credentials it was built with, under the
 * `ConfigProvider` it was built with; a caller that sets `Credential.Override` has its own.
 */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { Credentials, environmentName, Override } from "../credentials/Credential.ts"
import { Refusals } from "../credentials/Refusals.ts"
import { Revocations } from "../credentials/Revocations.ts"
import { withoutLineEnds } from "../credentials/Source.ts"
import { CredentialUnavailable } from "../Reason.ts"
import type * as Telemetry from "../Telemetry.ts"
import * as BasicAuth from "../transport/BasicAuth.ts"
import { isFieldValue } from "../transport/Headers.ts"
import type { Auth } from "./Declaration.ts"

type Read = Effect.Effect<Redacted.Redacted, CredentialUnavailable>

/** Credentials, and what the vendor has refused of them. */
export class Holder {
  readonly credentials: Credentials
  readonly refusals: Refusals
  /** `undefined` reads with the caller's. */
  private readonly provider: ConfigProvider.ConfigProvider | undefined
  /** The last caller's context, and that of its reads. Consecutive calls mostly have the same. */
  private caller: Context.Context<never> | undefined = undefined
  private context: Context.Context<never> = Context.empty()

  constructor(credentials: Credentials, refusals: Refusals, provider: ConfigProvider.ConfigProvider | undefined) {
    this.credentials = credentials
    this.refusals = refusals
    this.provider = provider
  }

  /** Runs a read for a caller, with its clock, logger and tracer. */
  fork(read: Read, caller: Context.Context<never>): Fiber.Fiber<Redacted.Redacted, CredentialUnavailable> {
    if (caller !== this.caller) {
      this.caller = caller
      this.context = this.contextFor(caller)
    }
    return Effect.runForkWith(this.context)(read)
  }

  private contextFor(caller: Context.Context<never>): Context.Context<never> {
    const { provider } = this
    // A read may call another vendor, which has credentials of its own.
    if (provider === undefined) return Context.add(caller, Override, undefined)
    // Mostly both are the environment.
    if (Context.get(caller, ConfigProvider.ConfigProvider) === provider) return caller
    return Context.add(caller, ConfigProvider.ConfigProvider, provider)
  }
}

export class Secrets {
  readonly revocations: Revocations
  /** Counts the refusals by the vendor. */
  readonly refused: Telemetry.Counter
  private readonly own: Holder
  private readonly refusedMillis: number
  private readonly overriding = new WeakMap<Credentials, Holder>()

  constructor(
    credentials: Credentials,
    provider: ConfigProvider.ConfigProvider,
    revocations: Revocations,
    refused: Telemetry.Counter,
    refusedMillis: number
  ) {
    this.own = new Holder(credentials, new Refusals(refusedMillis), provider)
    this.revocations = revocations
    this.refused = refused
    this.refusedMillis = refusedMillis
  }

  /** The refusals of the client's own secrets. */
  get refusals(): Refusals {
    return this.own.refusals
  }

  /** The holder of the secrets of a caller's calls. */
  of(caller: Context.Context<never>): Holder {
    const override = Context.get(caller, Override)
    if (override === undefined) return this.own
    let holder = this.overriding.get(override)
    if (holder === undefined) {
      this.overriding.set(override, holder = new Holder(override, new Refusals(this.refusedMillis), undefined))
    }
    return holder
  }
}

/** The secrets of a client that is built now; `refusedMillis` is the pause between two probes of a refused one. */
export const make = (refused: Telemetry.Counter, refusedMillis: number): Effect.Effect<Secrets> =>
  Effect.gen(function*() {
    const provider = yield* ConfigProvider.ConfigProvider
    return new Secrets(yield* Credentials, provider, yield* Revocations, refused, refusedMillis)
  })

/**
 * Checks that the secrets of some keys exist and can be sent. Fails with a sentence about those that do not. Warns about
 * a secret in quotes, which would be sent with them.
 */
export const check = (vendor: string, auth: Auth, keys: ReadonlyArray<string>): Effect.Effect<void, string> =>
  Effect.gen(function*() {
    const { read } = yield* Credentials
    const problems: Array<string> = []
    for (const key of keys) {
      const name = environmentName({ vendor, key })
      const secret = yield* Effect.match(read({ vendor, key }), {
        onFailure: ({ message }) => void problems.push(message),
        onSuccess: (secret) => secret
      })
      if (secret === undefined) continue
      if (!isUsable(auth, secret)) problems.push(new CredentialUnavailable(name, "Unusable").message)
      if (isQuoted(withoutLineEnds(Redacted.value(secret)))) {
        yield* Effect.logWarning(`the credential ${name} is in quotes, which are sent with it`)
      }
    }
    if (problems.length > 0) return yield* Effect.fail(problems.join("; "))
  })

/** The header that carries a secret; `undefined` if there is nothing to carry. */
export const headerOf = (auth: Auth, secret: Redacted.Redacted): [name: string, value: string] | undefined => {
  const text = withoutLineEnds(Redacted.value(secret))
  if (text === "") return undefined
  switch (auth._tag) {
    case "Bearer":
      return ["authorization", `Bearer ${text}`]
    case "Header":
      return [auth.name, `${auth.prefix ?? ""}${text}`]
    case "Basic":
      return ["authorization", BasicAuth.encode(auth.user, text)]
  }
}

/** Whether a header can carry a secret. A call leaves this check to its transport, which looks at every header. */
export const isUsable = (auth: Auth, secret: Redacted.Redacted): boolean => {
  const header = headerOf(auth, secret)
  if (header === undefined) return false
  return auth._tag === "Basic" ? BasicAuth.isPassword(withoutLineEnds(Redacted.value(secret))) : isFieldValue(header[1])
}

const isQuoted = (text: string): boolean => /^(["'`]).*\1$/.test(text)
