/**
 * Several sources, one after the other: the first that has a secret is the one whose secret is used. A source that cannot
 * be asked is not passed over, unless that is said: behind it may be a secret that was long replaced.
 *
 * @example
 * ```ts
 * import { Chain, Credential, type Source } from "@breakwater/core/credentials"
 * import { Effect, Redacted } from "effect"
 *
 * const holding = (name: string, secrets: Record<string, string>): Source.Source => ({
 *   name,
 *   fetch: ({ vendor }) =>
 *     Effect.succeed(secrets[vendor] === undefined ? undefined : { value: Redacted.make(secrets[vendor]) })
 * })
 * const sources = [holding("mounted", { stripe: "mounted" }), holding("default", { stripe: "-", twilio: "default" })]
 *
 * const program = Effect.gen(function*() {
 *   const { read } = yield* Credential.Credentials
 *   const secrets = Effect.all([read({ vendor: "stripe", key: "" }), read({ vendor: "twilio", key: "" })])
 *   console.log((yield* secrets).map(Redacted.value)) // => [ 'mounted', 'default' ]
 * })
 * await Effect.runPromise(Effect.provide(program, Chain.layer(sources)))
 * ```
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Redacted } from "effect/Redacted"
import { CredentialUnavailable } from "../Reason.ts"
import { type CredentialRequest, Credentials, environmentName, fromSource } from "./Credential.ts"
import type { Source } from "./Source.ts"

/** A source that is near, asked for every attempt; or one that is kept: `RefreshingCredentials.make(source)`. */
export type Part = Source | Credentials

export interface ChainOptions {
  /**
   * What becomes of a call when a part cannot be asked: it fails, or the next part is asked as if this one had no such
   * secret.
   * @default "Fail" (ours)
   */
  readonly whenDown?: "Fail" | "Next" | undefined
}

/** Asks the parts in their order. Throws when there is none. */
export const make = (parts: ReadonlyArray<Part>, options: ChainOptions = {}): Credentials => {
  if (parts.length === 0) throw new Error("Chain: parts must be one or more")
  const isPassedOver = options.whenDown === "Next"
  const members = parts.map((part) => "fetch" in part ? fromSource(part) : part)
  if (members.length === 1) return members[0]!

  const ask = (
    request: CredentialRequest,
    asked: (member: Credentials) => Effect.Effect<Redacted, CredentialUnavailable>
  ) => {
    /** When a part that was passed over is the reason why there is none, that is what the call hears. */
    let down: CredentialUnavailable | undefined
    const from = (index: number): Effect.Effect<Redacted, CredentialUnavailable> => {
      const member = members[index]
      if (member === undefined) return Effect.fail(down ?? new CredentialUnavailable(environmentName(request)))
      return Effect.catchIf(
        asked(member),
        ({ problem }) => problem === "Missing" || (problem === "Unreachable" && isPassedOver),
        (unavailable) => {
          if (unavailable.problem === "Unreachable") down ??= unavailable
          return from(index + 1)
        }
      )
    }
    return from(0)
  }

  return {
    read: (request) => Effect.suspend(() => ask(request, ({ read }) => read(request))),
    // Who had the refused secret is asked itself; who did not have it then is asked before, and may have one now.
    renew: (request, refused) =>
      Effect.suspend(() => ask(request, ({ read, renew }) => renew?.(request, refused) ?? read(request)))
  }
}

/** {@link Credentials} from the first part that has them. Throws when there is none. */
export const layer = (parts: ReadonlyArray<Part>, options?: ChainOptions): Layer.Layer<never> =>
  Layer.succeed(Credentials, make(parts, options))
