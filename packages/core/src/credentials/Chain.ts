/**
 * Several sources in order of precedence: the first source that has a secret provides it. A source that is down is not
 * skipped by default, because the next one may hold a secret that was replaced long ago.
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
import { type CredentialRequest, Credentials, environmentName, fromSource, withConfigOfLayer } from "./Credential.ts"
import type { Source } from "./Source.ts"

/** A local source, asked for every attempt; or a cached one: `RefreshingCredentials.make(source)`. */
export type Part = Source | Credentials

export interface ChainOptions {
  /**
   * What to do if a part is down: fail the call, or ask the next part as if this one had no such secret.
   * @default "Fail"
   */
  readonly whenDown?: "Fail" | "Next" | undefined
}

/** Asks the parts in order. Throws if `parts` is empty. */
export const make = (parts: ReadonlyArray<Part>, options: ChainOptions = {}): Credentials => {
  if (parts.length === 0) throw new Error("Chain: at least one part is required")
  const isPassedOver = options.whenDown === "Next"
  const members = parts.map((part) => "fetch" in part ? fromSource(part) : part)
  if (members.length === 1) return members[0]!

  const ask = (
    request: CredentialRequest,
    asked: (member: Credentials) => Effect.Effect<Redacted, CredentialUnavailable>
  ) => {
    /** If no part has the secret, the call fails with the error of a part that was skipped. */
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
    // A part that had the refused secret renews it. Parts before it did not have it then, and may have one now.
    renew: (request, refused) =>
      Effect.suspend(() => ask(request, ({ read, renew }) => renew?.(request, refused) ?? read(request)))
  }
}

/** {@link Credentials} from the first part that has the secret. Throws if `parts` is empty. */
export const layer = (parts: ReadonlyArray<Part>, options?: ChainOptions): Layer.Layer<never> =>
  Layer.effect(Credentials, withConfigOfLayer(make(parts, options)))
