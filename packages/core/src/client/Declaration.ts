/** What is said of a third party, once. */
import type * as Duration from "effect/Duration"
import type * as HttpApi from "effect/http-api/HttpApi"
import type { Reason } from "../Reason.ts"
import type * as Policy from "../stack/Policy.ts"
import type { Answer } from "./Answer.ts"
import type { CompiledOperation } from "./Contract.ts"

/** How the credential travels. */
export type Auth =
  /** `Authorization: Bearer <secret>` */
  | { readonly _tag: "Bearer" }
  /** A header of the vendor's own, or a scheme of its own: `prefix` stands before the secret. @default no prefix */
  | { readonly _tag: "Header"; readonly name: string; readonly prefix?: string | undefined }
  /** `Authorization: Basic <base64 of user:secret>` */
  | { readonly _tag: "Basic"; readonly user: string }

export interface Declaration<Api extends HttpApi.Constraint> {
  /** Lower case, words joined by hyphens: `stripe`, `open-exchange-rates`. Names it in errors, metrics and the environment. */
  readonly name: string
  readonly api: Api
  /** Where the vendor is; https, or http to this machine, without user and fragment. The environment's `<NAME>_BASE_URL` goes before it. */
  readonly baseUrl: string
  /** How the credential travels. @default there is none */
  readonly auth?: Auth | undefined
  /**
   * How long a secret that the vendor has refused twice in a row is left alone, before one call finds out whether it is
   * accepted again; longer than 0. Another secret from the source is used at once. @default "30 seconds" (ours)
   */
  readonly refusedFor?: Duration.Input | undefined
  /** The version that is spoken, where the vendor takes it from a header. @default the vendor's own default */
  readonly version?: { readonly header: string; readonly value: string } | undefined
  /** The header under which the vendor takes idempotency keys; needed for `Keyed` operations. @default it takes none */
  readonly idempotencyHeader?: string | undefined
  /** Sent with every request. @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** How we introduce ourselves to the vendor (`User-Agent`). @default "breakwater/0.1" */
  readonly userAgent?: string | undefined
  /**
   * How many redirects of one request are followed; a whole number from 0 to 10. Credentials, keys and bodies stay with the
   * vendor's own origin. @default 0: a redirect is an answer that the contract does not know
   */
  readonly redirects?: number | undefined
  /** How its calls are guarded; operations lay their own settings over it. @default {@link Policy.read} */
  readonly policy?: Policy.Policy | undefined
  /**
   * What an answer means where the vendor says more than its status does; `undefined` where the contract and the status
   * say it all. Asked for every answer, before the contract. @default nothing more
   */
  readonly classify?: ((answer: Answer, operation: CompiledOperation) => Reason | undefined) | undefined
}
