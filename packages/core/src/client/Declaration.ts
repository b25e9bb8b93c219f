/** The declaration of a third party: contract, base URL, authentication, headers and policies. */
import type * as Duration from "effect/Duration"
import type * as HttpApi from "effect/http-api/HttpApi"
import type { Reason } from "../Reason.ts"
import type * as Policy from "../stack/Policy.ts"
import type { Answer } from "./Answer.ts"
import type { CompiledOperation } from "./Contract.ts"

/** How a request carries the credential. */
export type Auth =
  /** `Authorization: Bearer <secret>` */
  | { readonly _tag: "Bearer" }
  /** Another header, or another scheme: `prefix` is written before the secret. @default no prefix */
  | { readonly _tag: "Header"; readonly name: string; readonly prefix?: string | undefined }
  /** `Authorization: Basic <base64 of user:secret>` */
  | { readonly _tag: "Basic"; readonly user: string }

export interface Declaration<Api extends HttpApi.Constraint> {
  /**
   * Lower case, words joined by hyphens: `stripe`, `open-exchange-rates`. Used in errors, metrics and variable names.
   */
  readonly name: string
  readonly api: Api
  /**
   * The vendor's base URL, without user and fragment: https, or http to a host that the transport allows (its options
   * `loopback` and `plainHttp`). The environment variable
   * `<NAME>_BASE_URL` overrides it.
   */
  readonly baseUrl: string
  /** How a request carries the credential. @default requests carry no credential */
  readonly auth?: Auth | undefined
  /**
   * The keys whose secrets must exist when the client is made; `""` is the key of calls that name none. The secret of
   * any other key is read at its first call. Empty if every call names a tenant.
   * @default [""]
   */
  readonly requiredKeys?: ReadonlyArray<string> | undefined
  /**
   * How long calls with a secret are not sent after the vendor has refused it twice in a row; longer than 0. One call
   * of each operation then tests whether the secret is accepted again. A different secret from the source is used at
   * once.
   * @default "30 seconds"
   */
  readonly refusedFor?: Duration.Input | undefined
  /** The API version, for vendors that take it from a header. @default the vendor's own default */
  readonly version?: { readonly header: string; readonly value: string } | undefined
  /** The vendor's header for idempotency keys; required for `Keyed` operations. @default the vendor takes no keys */
  readonly idempotencyHeader?: string | undefined
  /**
   * The vendor's header that is `true` on a response which it repeats for a known idempotency key, such as
   * `Idempotent-Replayed`. A repeated failure stays the same however often the call is sent, so it is not retried.
   * @default the vendor marks no response
   */
  readonly replayedHeader?: string | undefined
  /** Headers of every request. @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The `User-Agent` of every request. @default "breakwater/0.1" */
  readonly userAgent?: string | undefined
  /**
   * The most redirects followed for one request; a whole number from 0 to 10. Credentials, keys and bodies stay with
   * the vendor's own origin. @default 0: a redirect is a response that the contract does not declare
   */
  readonly redirects?: number | undefined
  /** The policy of its operations; an operation may override it. @default {@link Policy.read} */
  readonly policy?: Policy.Policy | undefined
  /**
   * Reads the meaning of a response where the vendor says more than its status does. It is called for every response,
   * before the contract. `undefined` leaves the decision to status and contract. @default status and contract decide
   */
  readonly classify?: ((answer: Answer, operation: CompiledOperation) => Reason | undefined) | undefined
}
