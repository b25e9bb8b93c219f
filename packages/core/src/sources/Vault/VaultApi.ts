/** The part of Vault's HTTP API in use here, as its reference describes it (developer.hashicorp.com/vault/api-docs). */
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { sourceRefusal, type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as SecretRequest from "../SecretRequest.ts"

export interface VaultApiOptions extends SecretRequest.SecretRequestOptions {
  /** The URL of Vault: `https://vault.example.com:8200`; plain http to this machine only, as to a Vault Agent. */
  readonly address: string
  /** The namespace in Vault Enterprise, HCP or OpenBao. @default none */
  readonly namespace?: string | undefined
}

export interface VaultApi {
  /** Reads a path below `/v1/`. */
  get(
    path: string,
    token: Redacted.Redacted,
    isRepeatable: boolean
  ): Effect.Effect<SecretRequest.Reply, SourceUnavailable>
  post(
    path: string,
    token: Redacted.Redacted | undefined,
    body: object,
    isRepeatable: boolean
  ): Effect.Effect<SecretRequest.Reply, SourceUnavailable>
}

export const sourceName = "vault"

export const make = (options: VaultApiOptions): Effect.Effect<VaultApi, never, HttpClient> =>
  Effect.gen(function*() {
    const base = SecretRequest.baseUrl("address", options.address)
    const inquiry = yield* SecretRequest.make(sourceName, options)
    const headers = (token: Redacted.Redacted | undefined): Record<string, string> => ({
      "x-vault-request": "true",
      ...(options.namespace === undefined ? {} : { "x-vault-namespace": options.namespace }),
      ...(token === undefined ? {} : { "x-vault-token": Redacted.value(token) })
    })
    return {
      get: (path, token, isRepeatable) =>
        inquiry.ask({ method: "GET", url: `${base}/v1/${path}`, headers: headers(token), isRepeatable }),
      post: (path, token, body, isRepeatable) =>
        inquiry.ask({
          method: "POST",
          url: `${base}/v1/${path}`,
          headers: headers(token),
          body: JSON.stringify(body),
          isRepeatable
        })
    }
  })

/** The error of an unexpected response. Vault's own message is not repeated. */
export const failed = (what: string, { retryAfterMillis, status }: SecretRequest.Reply): SourceUnavailable =>
  status === 400 || status === 401 || status === 403 || status === 405
    ? sourceRefusal(sourceName, `it does not allow ${what} (status ${status})`)
    : sourceUnavailable(
      sourceName,
      `${reasons[status] ?? "it does not answer as expected"} (status ${status})`,
      retryAfterMillis
    )

/** developer.hashicorp.com/vault/api-docs#http-status-codes */
const reasons: Readonly<Record<number, string>> = {
  412: "it has not caught up yet",
  429: "it is a standby, or its rate limit is reached",
  472: "it is a disaster recovery secondary",
  473: "it is a performance standby",
  501: "it is not initialized",
  502: "a service that it depends on has failed",
  503: "it is sealed, or down for maintenance",
  301: "it redirects, and redirects are not followed",
  302: "it redirects, and redirects are not followed",
  307: "it redirects, and redirects are not followed",
  308: "it redirects, and redirects are not followed"
}

/** A response that does not match the reference. It is not described, because it may hold a secret. */
export const strange = sourceUnavailable(sourceName, "its response does not match its API")

/** A lifetime in seconds, at most a century, so that sums of it stay exact. */
const Seconds = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 3_155_760_000 }))

/** A login or a renewed token: api-docs/auth/token, /auth/approle, /auth/kubernetes. */
export const login = SecretRequest.decoder(
  Schema.Struct({
    auth: Schema.Struct({
      client_token: Schema.NonEmptyString,
      lease_duration: Seconds,
      renewable: Schema.Boolean
    })
  })
)

/** api-docs/auth/token#lookup-a-token-self */
export const lookup = SecretRequest.decoder(
  Schema.Struct({ data: Schema.Struct({ ttl: Seconds, renewable: Schema.optional(Schema.Boolean) }) })
)

/** api-docs/system/wrapping-unwrap, of an AppRole's secret id */
export const unwrapped = SecretRequest.decoder(
  Schema.Struct({ data: Schema.Struct({ secret_id: Schema.NonEmptyString }) })
)

/** api-docs/secret/kv/kv-v2#read-secret-version; a deleted version has the same form, with status 404. */
export const keyValue = SecretRequest.decoder(
  Schema.Struct({
    data: Schema.Struct({
      data: Schema.Record(Schema.String, Schema.Unknown),
      metadata: Schema.Struct({ deletion_time: Schema.optional(Schema.String), version: Schema.Finite })
    })
  })
)

/** A secret with a lease, in the form of api-docs/secret/databases#generate-credentials. */
export const leased = SecretRequest.decoder(
  Schema.Struct({
    lease_id: Schema.String,
    lease_duration: Seconds,
    renewable: Schema.Boolean,
    data: Schema.Record(Schema.String, Schema.Unknown)
  })
)

/** api-docs/system/leases#renew-lease */
export const renewedLease = SecretRequest.decoder(
  Schema.Struct({ lease_id: Schema.String, lease_duration: Seconds, renewable: Schema.Boolean })
)
