/** Engines of Vault: the path of a request, and the secret in a response. */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { CredentialRequest } from "../../credentials/Credential.ts"
import * as Naming from "../../credentials/Naming.ts"
import { type Secret, type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as Range from "../../Range.ts"
import * as EnvironmentOptions from "../EnvironmentOptions.ts"
import * as SecretRequest from "../SecretRequest.ts"
import type { Held } from "./Login.ts"
import { failed, keyValue, leased, renewedLease, sourceName, strange, type VaultApi } from "./VaultApi.ts"

/** The place of the secrets in Vault. Paths are templates with `{vendor}` and `{key}`. */
export type VaultEngine =
  /**
   * Version 2 of the key/value engine. `mount` is `secret` by default, `path` is `{vendor}/{key}`. `field` is the field
   * of the secret that holds the key, `api_key` by default. `version` pins one version, which is then not rotated.
   */
  | {
    readonly _tag: "KeyValue"
    readonly mount?: string | undefined
    readonly path?: string | undefined
    readonly field?: string | undefined
    readonly version?: number | undefined
  }
  /** Any engine that creates a secret on reading and leases it: `database/creds/{vendor}` with field `password`. */
  | { readonly _tag: "Dynamic"; readonly path: string; readonly field: string }

export const config: Config.Config<VaultEngine> = Config.flatMap(
  Config.all({
    engine: EnvironmentOptions.word("VAULT_ENGINE", ["kv", "dynamic"]),
    mount: EnvironmentOptions.text("VAULT_KV_MOUNT"),
    path: EnvironmentOptions.checked(
      "VAULT_PATH",
      EnvironmentOptions.text("VAULT_PATH"),
      (path) => Naming.checked("VAULT_PATH", path)
    ),
    field: EnvironmentOptions.text("VAULT_FIELD")
  }),
  ({ engine, field, mount, path }): Config.Config<VaultEngine> => {
    if (engine === "kv") return Config.succeed({ _tag: "KeyValue", mount, path, field })
    return path === undefined || field === undefined
      ? EnvironmentOptions.mistaken("VAULT_ENGINE", "dynamic needs VAULT_PATH and VAULT_FIELD")
      : Config.succeed({ _tag: "Dynamic", path, field })
  }
)

export interface Engine {
  /** The path below `/v1/`; `undefined` if no secret can have that name. */
  pathOf(request: CredentialRequest): string | undefined
  /** Whether a read may be repeated without further effect. */
  readonly isRepeatable: boolean
  secretOf(reply: SecretRequest.Reply, held: Held): Effect.Effect<Secret | undefined, SourceUnavailable>
  /** The leases that have not expired, each with the token it was created under. */
  readonly leases: Effect.Effect<ReadonlyArray<Lease>>
}

export interface Lease {
  readonly id: string
  /** The token; the lease ends with it. */
  readonly held: Held
  /** Unix time in milliseconds. */
  readonly endsAt: number
}

/** Makes an engine. Throws if an option is out of its range. */
export const make = (api: VaultApi, options: VaultEngine): Engine =>
  options._tag === "KeyValue" ? makeKeyValue(options) : makeDynamic(api, options)

const makeKeyValue = (options: VaultEngine & { readonly _tag: "KeyValue" }): Engine => {
  const template = Naming.checked("path", options.path ?? "{vendor}/{key}")
  const mount = segments(options.mount ?? "secret")
  const field = options.field ?? "api_key"
  const query = options.version === undefined ? "" : `?version=${Range.whole("version", options.version, 1)}`
  return {
    isRepeatable: true,
    pathOf(request) {
      const name = Naming.fill(template, request)
      return name === undefined ? undefined : `${mount}/data/${segments(name)}${query}`
    },
    secretOf: Effect.fnUntraced(function*(reply) {
      // A deleted version has status 404 too.
      if (reply.status === 404) return undefined
      if (reply.status !== 200) return yield* Effect.fail(failed("reading the secret", reply))
      const answer = keyValue(reply)
      if (answer === undefined) return yield* Effect.fail(strange)
      const deletedAt = Date.parse(answer.data.metadata.deletion_time ?? "")
      return {
        value: yield* fieldOf(answer.data.data, field),
        ...(Number.isNaN(deletedAt) ? {} : { expiresAt: deletedAt })
      }
    }),
    leases: Effect.succeed([])
  }
}

const makeDynamic = (api: VaultApi, options: VaultEngine & { readonly _tag: "Dynamic" }): Engine => {
  const template = Naming.checked("path", options.path)
  let leases: ReadonlyArray<Lease> = []
  const live = Effect.map(Clock.currentTimeMillis, (now) => leases.filter(({ endsAt }) => now < endsAt))

  /** The secret of a lease, which expires no later than the token it was created under. */
  const secretUnder = (lease: Lease, value: Redacted.Redacted, isRenewable: boolean, firstGranted: number): Secret => ({
    value,
    expiresAt: Math.min(lease.endsAt, lease.held.expiresAt ?? Infinity),
    ...(isRenewable ? { extend: extend(lease, value, firstGranted) } : {})
  })

  const extend = (
    { held, id }: Lease,
    value: Redacted.Redacted,
    firstGranted: number
  ): Effect.Effect<Secret | undefined, SourceUnavailable> =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      if (!held.isCurrent || (held.expiresAt ?? Infinity) <= now) return undefined
      const reply = yield* api.post(
        "sys/leases/renew",
        held.token,
        { lease_id: id, increment: Math.ceil(firstGranted / 1_000) },
        true
      )
      // The lease has ended, or must not be renewed: a new one is needed.
      if (reply.status === 400 || reply.status === 403 || reply.status === 404) return undefined
      if (reply.status !== 200) return yield* Effect.fail(failed("renewing the lease", reply))
      const renewed = renewedLease(reply)
      if (renewed === undefined) return yield* Effect.fail(strange)
      const granted = renewed.lease_duration * 1_000
      // Near its maximum, a lease is extended by less and less.
      if (granted <= firstGranted / 2) return undefined
      const lease = { id, held, endsAt: reply.askedAt + granted }
      leases = [...leases.filter((other) => other.id !== id), lease]
      return secretUnder(lease, value, renewed.renewable, firstGranted)
    })

  return {
    isRepeatable: false,
    pathOf(request) {
      const name = Naming.fill(template, request)
      return name === undefined ? undefined : segments(name)
    },
    secretOf: Effect.fnUntraced(function*(reply, held) {
      if (reply.status === 404) return undefined
      if (reply.status !== 200) return yield* Effect.fail(failed("reading the secret", reply))
      const answer = leased(reply)
      if (answer === undefined) return yield* Effect.fail(strange)
      const granted = answer.lease_duration * 1_000
      const value = yield* fieldOf(answer.data, options.field)
      if (answer.lease_id === "" || granted === 0) return { value }
      const lease = { id: answer.lease_id, held, endsAt: reply.askedAt + granted }
      leases = [...(yield* live), lease]
      return secretUnder(lease, value, answer.renewable, granted)
    }),
    leases: live
  }
}

/** A path with every segment encoded for a URL. */
const segments = (path: string): string =>
  path.split("/").filter((part) => part !== "").map(encodeURIComponent).join("/")

const fieldOf = (data: Readonly<Record<string, unknown>>, field: string) => {
  const value = Object.hasOwn(data, field) ? data[field] : undefined
  return typeof value === "string" && value !== ""
    ? Effect.succeed(Redacted.make(value))
    : Effect.fail(sourceUnavailable(sourceName, `the secret has no text in its field ${field}`))
}
