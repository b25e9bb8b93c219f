/**
 * Keeps a Vault token alive: one login for concurrent requests, renewal well before the expiry, and a new login once
 * the token cannot be renewed.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { readFile } from "node:fs/promises"
import { type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as SourceSecret from "../../credentials/SourceSecret.ts"
import * as EnvironmentOptions from "../EnvironmentOptions.ts"
import { failed, login, lookup, sourceName, strange, unwrapped, type VaultApi } from "./VaultApi.ts"

/** The method of authentication. */
export type VaultAuth =
  /** A token from outside. It is renewed if possible, and never revoked. */
  | { readonly _tag: "Token"; readonly token: SourceSecret.SourceSecret }
  /**
   * A role id and a secret id. A wrapped secret id is a token that yields it once; it is unwrapped at the first login.
   * `mount` is the path of the method, `approle` by default.
   */
  | {
    readonly _tag: "AppRole"
    readonly roleId: string
    readonly secretId: SourceSecret.SourceSecret
    readonly isWrapped?: boolean | undefined
    readonly mount?: string | undefined
  }
  /**
   * The service account of the pod. Its token is read from the file at every login, since Kubernetes replaces it.
   * `mount` is the path of the method, `kubernetes` by default.
   */
  | {
    readonly _tag: "Kubernetes"
    readonly role: string
    readonly tokenFile?: string | undefined
    readonly mount?: string | undefined
  }

export const config: Config.Config<VaultAuth> = Config.flatMap(
  Config.all({
    token: EnvironmentOptions.secret("VAULT_TOKEN"),
    roleId: EnvironmentOptions.text("VAULT_ROLE_ID"),
    secretId: EnvironmentOptions.secret("VAULT_SECRET_ID"),
    isWrapped: EnvironmentOptions.flag("VAULT_SECRET_ID_WRAPPED"),
    role: EnvironmentOptions.text("VAULT_KUBERNETES_ROLE"),
    tokenFile: EnvironmentOptions.text("VAULT_KUBERNETES_TOKEN_FILE"),
    mount: EnvironmentOptions.text("VAULT_AUTH_MOUNT")
  }),
  ({ isWrapped, mount, role, roleId, secretId, token, tokenFile }): Config.Config<VaultAuth> => {
    if ([token, roleId, role].filter((one) => one !== undefined).length !== 1) {
      return EnvironmentOptions.mistaken(
        "VAULT_TOKEN",
        "exactly one of it, VAULT_ROLE_ID and VAULT_KUBERNETES_ROLE is required"
      )
    }
    if (token !== undefined) return Config.succeed({ _tag: "Token", token })
    if (role !== undefined) return Config.succeed({ _tag: "Kubernetes", role, tokenFile, mount })
    return roleId === undefined || secretId === undefined
      ? EnvironmentOptions.mistaken("VAULT_SECRET_ID", "is required with VAULT_ROLE_ID")
      : Config.succeed({ _tag: "AppRole", roleId, secretId, isWrapped, mount })
  }
)

/** A token and its expiry. */
export interface Held {
  readonly token: Redacted.Redacted
  /** Unix time in milliseconds; `undefined` for a token that never expires. A renewal moves it. */
  expiresAt: number | undefined
  /** Whether the token is still renewed: not once a newer one exists or Vault no longer knows it. */
  isCurrent: boolean
}

export interface Login {
  /** The current token; logs in if necessary. */
  readonly current: Effect.Effect<Held, SourceUnavailable>
  /** Checks whether a token that was refused is dead, and drops it if so. */
  isDead(held: Held): Effect.Effect<boolean, SourceUnavailable>
  /** Stops renewing. Returns the tokens of our own logins that have not expired yet. */
  readonly end: Effect.Effect<ReadonlyArray<Held>>
}

export const make = (api: VaultApi, auth: VaultAuth): Effect.Effect<Login, never, Scope.Scope> =>
  Effect.gen(function*() {
    const turn = yield* Semaphore.make(1)
    const renewal = yield* FiberHandle.make<void>()
    const enter = yield* entrance(api, auth)
    let held: Token | undefined
    let own: ReadonlyArray<Held> = []

    const forget = () => {
      if (held !== undefined) held.isCurrent = false
      held = undefined
    }

    const enterNow = Effect.gen(function*() {
      const token = yield* enter
      forget()
      held = token
      if (auth._tag !== "Token") own = [...(yield* unended(own)), token]
      yield* FiberHandle.run(renewal, keepAlive(token))
      return token
    })

    /**
     * Renews before the expiry, with jitter. A token that cannot be renewed is replaced by a new login before its
     * expiry.
     */
    const keepAlive = (token: Token): Effect.Effect<void> =>
      Effect.gen(function*() {
        while (token.isCurrent && token.expiresAt !== undefined) {
          const left = token.expiresAt - (yield* Clock.currentTimeMillis)
          if (left < 1_000) return
          yield* Effect.sleep(Math.min(longestSleep, left * (yield* Random.nextBetween(0.6, 0.75))))
          if (!token.isCurrent) return
          if (token.isRenewable) yield* Effect.ignore(renew(token))
          // The login starts the next renewal fiber, and ends this one.
          else if (auth._tag === "Token") return
          else if (
            yield* Effect.match(turn.withPermit(enterNow), {
              onFailure: () => false,
              onSuccess: () => true
            })
          ) return
        }
      })

    const renew = (token: Token) =>
      Effect.gen(function*() {
        const reply = yield* api.post("auth/token/renew-self", token.token, {}, true)
        if (reply.status === 403) {
          if (held === token) forget()
          return
        }
        if (reply.status === 400) token.isRenewable = false
        if (reply.status !== 200) return yield* Effect.fail(failed("renewing the token", reply))
        const renewed = login(reply)
        if (renewed === undefined) return yield* Effect.fail(strange)
        const granted = renewed.auth.lease_duration * 1_000
        token.expiresAt = granted === 0 ? undefined : reply.askedAt + granted
        // Near its maximum, a token is extended by less and less.
        token.isRenewable = renewed.auth.renewable && granted > token.firstGranted / 2
      })

    return {
      current: turn.withPermit(
        Effect.gen(function*() {
          const now = yield* Clock.currentTimeMillis
          if (held !== undefined && (held.expiresAt === undefined || now < held.expiresAt)) return held
          return yield* enterNow
        })
      ),
      isDead: (refused) =>
        Effect.gen(function*() {
          if (held !== refused) return true
          const reply = yield* api.get("auth/token/lookup-self", refused.token, true)
          if (reply.status === 200) return false
          if (reply.status !== 403) return yield* Effect.fail(failed("looking up the token", reply))
          if (held === refused) forget()
          return true
        }),
      end: Effect.andThen(FiberHandle.clear(renewal), Effect.suspend(() => unended(own)))
    }
  })

/** The longest timer: timers of more than 24 days fire at once. */
const longestSleep = 86_400_000

interface Token extends Held {
  isRenewable: boolean
  readonly firstGranted: number
}

const unended = (tokens: ReadonlyArray<Held>) =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) => tokens.filter(({ expiresAt }) => expiresAt === undefined || now < expiresAt)
  )

/** One login. */
const entrance = (api: VaultApi, auth: VaultAuth): Effect.Effect<Effect.Effect<Token, SourceUnavailable>> =>
  Effect.sync(() => {
    switch (auth._tag) {
      case "Token":
        return Effect.flatMap(SourceSecret.read(auth.token), (token) => lookedUp(api, token))
      case "AppRole": {
        const secretId = auth.isWrapped === true ? unwrap(api, auth.secretId) : SourceSecret.read(auth.secretId)
        return Effect.flatMap(
          secretId,
          (secret) =>
            loggedIn(api, auth.mount ?? "approle", { role_id: auth.roleId, secret_id: Redacted.value(secret) })
        )
      }
      case "Kubernetes":
        return Effect.flatMap(
          serviceAccountToken(auth.tokenFile ?? serviceAccountFile),
          (jwt) => loggedIn(api, auth.mount ?? "kubernetes", { role: auth.role, jwt })
        )
    }
  })

/**
 * A login is not repeated if its fate is unknown, because a secret id may allow only so many logins.
 */
const loggedIn = Effect.fnUntraced(function*(api: VaultApi, mount: string, body: object) {
  const reply = yield* api.post(`auth/${mount}/login`, undefined, body, false)
  if (reply.status !== 200) return yield* Effect.fail(failed("the login", reply))
  const answer = login(reply)
  if (answer === undefined) return yield* Effect.fail(strange)
  return tokenOf(answer.auth.client_token, answer.auth.lease_duration * 1_000, answer.auth.renewable, reply.askedAt)
})

/** Vault states the lifetime of a token from outside, if the token's policy allows the question. */
const lookedUp = Effect.fnUntraced(function*(api: VaultApi, token: Redacted.Redacted) {
  const reply = yield* api.get("auth/token/lookup-self", token, true)
  if (reply.status !== 200) return yield* Effect.fail(failed("the token", reply))
  const answer = lookup(reply)
  if (answer === undefined) return yield* Effect.fail(strange)
  return tokenOf(Redacted.value(token), answer.data.ttl * 1_000, answer.data.renewable ?? false, reply.askedAt)
})

/** A lifetime of 0 is that of a root token, which never expires. */
const tokenOf = (token: string, millis: number, isRenewable: boolean, askedAt: number): Token => ({
  token: Redacted.make(token),
  expiresAt: millis === 0 ? undefined : askedAt + millis,
  isCurrent: true,
  isRenewable,
  firstGranted: millis
})

/** A wrapping token yields its secret id once. If it is already used, another process may have stolen it. */
const unwrap = (
  api: VaultApi,
  given: SourceSecret.SourceSecret
): Effect.Effect<Redacted.Redacted, SourceUnavailable> => {
  let secretId: Redacted.Redacted | undefined
  return Effect.gen(function*() {
    if (secretId !== undefined) return secretId
    const reply = yield* api.post("sys/wrapping/unwrap", yield* SourceSecret.read(given), {}, false)
    if (reply.status !== 200) {
      return yield* Effect.fail(
        failed("unwrapping the secret id, which may have been unwrapped by somebody else", reply)
      )
    }
    const answer = unwrapped(reply)
    if (answer === undefined) return yield* Effect.fail(strange)
    secretId = Redacted.make(answer.data.secret_id)
    return secretId
  })
}

const serviceAccountFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

const serviceAccountToken = (file: string): Effect.Effect<string, SourceUnavailable> =>
  Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: () => sourceUnavailable(sourceName, "the token of the service account cannot be read")
  }).pipe(Effect.map((text) => text.trim()))
