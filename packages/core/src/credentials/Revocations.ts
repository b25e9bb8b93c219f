/**
 * Secrets that were revoked by hand. No client sends one of them again, and requests in flight with it are cut at once.
 * Only a keyed digest of a revoked secret is stored.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { digestOf } from "./Digest.ts"
import { withoutLineEnds } from "./Source.ts"

/** The most revoked secrets; beyond it the oldest is forgotten. */
const maxRevoked = 10_000

/** A request in flight with a secret. They are linked, because every attempt enters and leaves. */
export interface InFlight {
  /** The secret that the request carries; `undefined` if it carries none now. */
  readonly carried: Redacted.Redacted | undefined
  before: InFlight | undefined
  after: InFlight | undefined
  /** Cuts the request off. */
  cut(): void
}

class RevokedSecrets {
  private readonly digests = new Set<string>()
  private first: InFlight | undefined = undefined

  /** Whether a secret was revoked. */
  has(secret: Redacted.Redacted): boolean {
    return this.digests.size > 0 && this.digests.has(digestOf(withoutLineEnds(Redacted.value(secret))))
  }
  /** A request is sent with a secret, until {@link left}. */
  entered(request: InFlight): void {
    request.after = this.first
    if (this.first !== undefined) this.first.before = request
    this.first = request
  }
  /** A request that entered has ended. */
  left(request: InFlight): void {
    const { after, before } = request
    if (before === undefined) this.first = after
    else before.after = after
    if (after !== undefined) after.before = before
    request.before = request.after = undefined
  }
  /** Revokes a secret, and returns the number of requests that were cut. */
  revoke(secret: Redacted.Redacted): number {
    const text = withoutLineEnds(Redacted.value(secret))
    const digest = digestOf(text)
    this.digests.delete(digest)
    this.digests.add(digest)
    if (this.digests.size > maxRevoked) this.digests.delete(this.digests.values().next().value!)
    // A cut request leaves, and may start another one at once.
    const cut: Array<InFlight> = []
    for (let request = this.first; request !== undefined; request = request.after) {
      if (request.carried !== undefined && withoutLineEnds(Redacted.value(request.carried)) === text) cut.push(request)
    }
    for (const request of cut) request.cut()
    return cut.length
  }
}

/** The secrets that were revoked, and the requests in flight. @default those of this process */
export const Revocations: Context.Reference<RevokedSecrets> = Context.Reference<RevokedSecrets>(
  "breakwater/credentials/Revocations",
  { defaultValue: () => make() }
)
export type Revocations = RevokedSecrets

/** A set of revoked secrets of its own, as for a test. */
export const make = (): Revocations => new RevokedSecrets()

/**
 * Revokes a secret by hand, as when it has leaked. From now on no client of this process sends it, to any vendor.
 * Requests in flight with it are cut: their calls are repeated with the source's next secret where their safety allows,
 * and fail with `CredentialRevoked` elsewhere. While the source has no other secret, calls fail with
 * `CredentialUnavailable`. Succeeds with the number of requests that were cut.
 *
 * @example
 * ```ts
 * import { Credential } from "@breakwater/core/credentials"
 * import { ConfigProvider, Effect } from "effect"
 *
 * // Without its value: the secret that is in use now. Put the next one into its source afterwards.
 * const revoked = Effect.gen(function*() {
 *   const { read } = yield* Credential.Credentials
 *   return yield* Credential.revoke(yield* read({ vendor: "stripe", key: "eu" }))
 * })
 * const environment = ConfigProvider.layer(ConfigProvider.fromUnknown({ STRIPE_EU_API_KEY: "leaked" }))
 * console.log(await Effect.runPromise(Effect.provide(revoked, environment))) // => 0
 * ```
 */
export const revoke = (secret: Redacted.Redacted): Effect.Effect<number> =>
  Effect.map(Revocations, (revocations) => revocations.revoke(secret))
