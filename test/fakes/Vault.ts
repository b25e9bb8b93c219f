/**
 * A fake of HashiCorp Vault: the part of its HTTP API that the source uses, written from the published reference
 * (developer.hashicorp.com/vault/api-docs, pages `index`, `auth/token`, `auth/approle`, `auth/kubernetes`,
 * `secret/kv/kv-v2`, `secret/databases`, `system/leases`, `system/wrapping-unwrap`). Neither Vault nor OpenBao is in the
 * registries. Where this fake differs from real Vault, real Vault is right. It rejects requests outside the reference, runs
 * on the clock of the test, and ends every secret with its lease or token.
 */
import { Clock, Effect, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { createServer } from "node:http"
import * as Watch from "../watches/Watch.ts"
import * as Loopback from "./Loopback.ts"

export interface Asked {
  readonly method: string
  /** Path below `/v1/`, with its query. */
  readonly path: string
  readonly token: string | undefined
  readonly headers: NodeJS.Dict<string | Array<string>>
  readonly body: string
  /** The status of the response; 0 for a connection that was reset. */
  readonly status: number
}

export interface TokenOptions {
  /** Seconds; 0 for a token that never ends. @default 3600 */
  readonly ttl?: number
  /** Seconds from its making beyond which it cannot be renewed. @default 10 times the time to live */
  readonly maxTtl?: number
  /** @default true */
  readonly renewable?: boolean
  /** Prefixes of the paths that it may read. @default all paths */
  readonly paths?: ReadonlyArray<string>
}

interface Token extends Required<TokenOptions> {
  readonly madeAt: number
  endsAt: number
}

interface Lease {
  readonly id: string
  readonly token: string
  readonly password: string
  readonly madeAt: number
  endsAt: number
}

interface Version {
  readonly data: object | undefined
  readonly createdAt: number
  readonly deletionTime: string
}

export interface FakeVault {
  readonly address: string
  /** A client without a socket, for virtual time: a request is answered before the clock moves on. */
  readonly fetch: typeof globalThis.fetch
  readonly asked: ReadonlyArray<Asked>
  /** Waits, with a limit, until the requests meet a condition; dies after the limit. */
  readonly until: (what: string, isSo: (asked: ReadonlyArray<Asked>) => boolean) => Effect.Effect<void>
  /** Its state: it answers, gives one status to every request, or resets every connection. */
  state: "active" | 429 | 472 | 473 | 500 | 501 | 502 | 503 | "down"
  makeToken(options?: TokenOptions): string
  revokeToken(token: string): void
  isAlive(token: string): boolean
  /** Writes a new version of a secret of the key/value engine at `secret`. */
  put(path: string, data: object, options?: { readonly deletionTime?: string }): void
  /** Deletes the latest version, softly. */
  remove(path: string): void
  /** The token that a login returns from now on. */
  login: TokenOptions
  /** Role ids and the secret ids that go with them. */
  readonly appRoles: Map<string, Set<string>>
  /** Roles and the tokens of service accounts that go with them. */
  readonly serviceAccounts: Map<string, Set<string>>
  /** A wrapping token that gives these data once. */
  wrap(data: object): string
  /** The time to live of a lease of the database engine, and its maximum, in seconds. */
  database: { ttl: number; maxTtl: number; renewable: boolean }
  /** Whether the database would accept this login now. */
  isPassword(password: string): boolean
  readonly leases: ReadonlyArray<Pick<Lease, "id" | "endsAt">>
}

/** The environment of a service that reads from it, with a token of its own. */
export const environmentOf = (fake: FakeVault): Record<string, string> => ({
  CREDENTIALS: "vault",
  VAULT_ADDR: fake.address,
  VAULT_TOKEN: fake.makeToken()
})

/** Serves at a free port of this machine until the scope ends, within a namespace if there is one. */
export const serve = (namespace?: string): Effect.Effect<FakeVault, never, Scope.Scope> =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const { changed, until } = Watch.make()
    const asked: Array<Asked> = []
    const tokens = new Map<string, Token>()
    const secrets = new Map<string, Array<Version>>()
    const wrapped = new Map<string, object>()
    let leases: Array<Lease> = []

    const isAlive = (token: string) => {
      const known = tokens.get(token)
      return known !== undefined && now() < known.endsAt
    }
    const live = () => leases.filter((lease) => now() < lease.endsAt && isAlive(lease.token))
    const makeToken = ({ maxTtl, paths = [""], renewable = true, ttl = 3600 }: TokenOptions = {}) => {
      const token = `hvs.${randomUUID()}`
      const endsAt = ttl === 0 ? Infinity : now() + ttl * 1_000
      tokens.set(token, { ttl, maxTtl: maxTtl ?? ttl * 10, renewable, paths, madeAt: now(), endsAt })
      return token
    }
    const authOf = (token: string) => {
      const { endsAt, paths, renewable } = tokens.get(token)!
      const left = endsAt === Infinity ? 0 : Math.round((endsAt - now()) / 1_000)
      return {
        ...envelope,
        auth: {
          client_token: token,
          accessor: randomUUID(),
          policies: ["default"],
          token_policies: ["default"],
          metadata: { paths: String(paths.length) },
          lease_duration: left,
          renewable,
          entity_id: "",
          token_type: "service",
          orphan: true
        }
      }
    }

    const answer = (method: string, path: string, token: string | undefined, text: string): Answered => {
      const [route = "", query = ""] = path.split("?")
      const isWrite = method === "POST" || method === "PUT"
      const body = isWrite && text !== "" ? record(text) : {}
      if (body === undefined) return refused(400, "failed to parse JSON input")
      const login = /^auth\/(approle|kubernetes)\/login$/.exec(route)
      if (login !== null) {
        if (!isWrite) return refused(405, "unsupported operation")
        const given = login[1] === "approle"
          ? only(body, "role_id", "secret_id") &&
            fake.appRoles.get(String(body["role_id"]))?.has(String(body["secret_id"]))
          : only(body, "role", "jwt") && fake.serviceAccounts.get(String(body["role"]))?.has(String(body["jwt"]))
        if (given !== true) {
          return login[1] === "approle" ? refused(400, "invalid role or secret ID") : refused(403, "permission denied")
        }
        return { status: 200, body: authOf(makeToken(fake.login)) }
      }
      if (route === "sys/wrapping/unwrap" && isWrite) {
        const data = wrapped.get(token ?? "")
        wrapped.delete(token ?? "")
        if (data === undefined || !only(body)) return refused(400, "wrapping token is not valid or does not exist")
        return { status: 200, body: { ...envelope, data } }
      }
      const known = tokens.get(token ?? "")
      if (token === undefined || known === undefined || !isAlive(token)) return refused(403, "permission denied")
      if (route === "auth/token/lookup-self" && method === "GET") {
        const ttl = known.endsAt === Infinity ? 0 : Math.round((known.endsAt - now()) / 1_000)
        return {
          status: 200,
          body: { ...envelope, data: { id: token, ttl, renewable: known.renewable, orphan: true } }
        }
      }
      if (route === "auth/token/renew-self" && isWrite) {
        if (!only(body, "increment")) return refused(400, "unknown parameter")
        if (!known.renewable) return refused(400, "lease is not renewable")
        known.endsAt = Math.min(now() + known.ttl * 1_000, known.madeAt + known.maxTtl * 1_000)
        return { status: 200, body: authOf(token) }
      }
      if (route === "auth/token/revoke-self" && isWrite) {
        tokens.delete(token)
        return { status: 204 }
      }
      if (route === "sys/leases/renew" && isWrite) {
        const lease = live().find(({ id }) => id === body["lease_id"])
        if (!only(body, "lease_id", "increment") || lease === undefined) return refused(400, "lease not found")
        if (!fake.database.renewable) return refused(400, "lease is not renewable")
        const increment = Number(body["increment"] ?? fake.database.ttl) * 1_000
        lease.endsAt = Math.min(now() + increment, lease.madeAt + fake.database.maxTtl * 1_000)
        const left = Math.round((lease.endsAt - now()) / 1_000)
        return { status: 200, body: { ...envelope, lease_id: lease.id, renewable: true, lease_duration: left } }
      }
      if (route === "sys/leases/revoke" && isWrite) {
        if (!only(body, "lease_id", "sync")) return refused(400, "unknown parameter")
        leases = leases.filter(({ id }) => id !== body["lease_id"])
        return { status: 204 }
      }
      if (!known.paths.some((prefix) => route.startsWith(prefix))) {
        return refused(403, "1 error occurred: permission denied")
      }
      if (/^database\/creds\/[^/]+$/.test(route)) {
        if (method !== "GET") {
          return refused(405, "unsupported operation")
        }
        const { renewable, ttl } = fake.database
        const lease: Lease = {
          id: `${route}/${randomUUID()}`,
          token,
          password: randomUUID(),
          madeAt: now(),
          endsAt: now() + ttl * 1_000
        }
        leases.push(lease)
        return {
          status: 200,
          body: {
            ...envelope,
            lease_id: lease.id,
            lease_duration: ttl,
            renewable,
            data: { username: `v-${randomUUID()}`, password: lease.password }
          }
        }
      }
      const at = /^secret\/data\/(.+)$/.exec(route)?.[1]
      if (at === undefined) return refused(404, `no handler for route "${route}"`)
      if (isWrite) {
        fake.put(decodeURIComponent(at), body["data"] as object)
        return { status: 200, body: { ...envelope, data: metadataOf(secrets.get(decodeURIComponent(at))!, 0) } }
      }
      const versions = secrets.get(decodeURIComponent(at)) ?? []
      const number = Number(new URLSearchParams(query).get("version") ?? 0)
      const version = versions[(number === 0 ? versions.length : number) - 1]
      if (version === undefined) return { status: 404, body: { errors: [] } }
      const isDeleted = version.deletionTime !== "" && Date.parse(version.deletionTime) <= now()
      const data = { data: isDeleted ? null : version.data, metadata: metadataOf(versions, number) }
      return { status: isDeleted ? 404 : 200, body: { ...envelope, data } }
    }

    /** Answers and records the request; `undefined` to reset the connection. */
    const hear = (
      method: string,
      url: string,
      headers: Asked["headers"],
      body: string
    ): { readonly status: number; readonly text: string } | undefined => {
      const path = url.replace(/^\/v1\//, "")
      const token = typeof headers["x-vault-token"] === "string" ? headers["x-vault-token"] : undefined
      const answered: Answered = typeof fake.state === "number"
        ? refused(fake.state, "Vault is sealed")
        : !url.startsWith("/v1/") || headers["x-vault-namespace"] !== namespace
        ? refused(404, "no handler for route")
        : answer(method, path, token, body)
      asked.push({ method, path, token, headers, body, status: fake.state === "down" ? 0 : answered.status })
      changed()
      if (fake.state === "down") return undefined
      return { status: answered.status, text: answered.body === undefined ? "" : JSON.stringify(answered.body) }
    }

    const server = createServer((incoming, outgoing) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("end", () => {
        const { headers, method = "", url = "" } = incoming
        const said = hear(method, url, headers, Buffer.concat(chunks).toString("utf8"))
        if (said === undefined) incoming.socket.resetAndDestroy()
        else outgoing.writeHead(said.status, { "content-type": "application/json" }).end(said.text)
      })
    })
    const { port } = yield* Loopback.listen(server, changed)

    const fake: FakeVault = {
      address: `http://127.0.0.1:${port}`,
      async fetch(input, init) {
        const { pathname, search } = new URL(input as URL)
        const said = hear(
          init?.method ?? "GET",
          `${pathname}${search}`,
          Object.fromEntries(new Headers(init?.headers)),
          new TextDecoder().decode(init?.body as Uint8Array | undefined)
        )
        if (said === undefined) throw new TypeError("fetch failed")
        return new Response(said.text === "" ? null : said.text, { status: said.status })
      },
      asked,
      until: (what, isSo) => until(what, () => isSo(asked)),
      state: "active",
      makeToken,
      revokeToken: (token) => tokens.delete(token),
      isAlive,
      put(path, data, options) {
        const versions = secrets.get(path) ?? []
        versions.push({ data, createdAt: now(), deletionTime: options?.deletionTime ?? "" })
        secrets.set(path, versions)
      },
      remove(path) {
        const versions = secrets.get(path)!
        versions.push({ ...versions.pop()!, deletionTime: new Date(now()).toISOString() })
      },
      login: {},
      appRoles: new Map(),
      serviceAccounts: new Map(),
      wrap(data) {
        const token = `hvs.${randomUUID()}`
        wrapped.set(token, data)
        return token
      },
      database: { ttl: 60, maxTtl: 600, renewable: true },
      isPassword: (password) => live().some((lease) => lease.password === password),
      get leases() {
        return live()
      }
    }
    return fake
  })

interface Answered {
  readonly status: number
  readonly body?: object
}

const refused = (status: number, ...errors: ReadonlyArray<string>): Answered => ({ status, body: { errors } })

const record = (text: string): Record<string, unknown> | undefined => {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

/** Whether a body has no parameters but these. */
const only = (body: Record<string, unknown>, ...names: ReadonlyArray<string>) =>
  Object.keys(body).every((name) => names.includes(name))

const metadataOf = (versions: ReadonlyArray<Version>, number: number) => {
  const version = number === 0 ? versions.length : number
  const { createdAt, deletionTime } = versions[version - 1]!
  return {
    created_time: new Date(createdAt).toISOString(),
    custom_metadata: null,
    deletion_time: deletionTime,
    destroyed: false,
    version
  }
}

/** Fields of every response. */
const envelope = {
  request_id: randomUUID(),
  lease_id: "",
  renewable: false,
  lease_duration: 0,
  data: null,
  wrap_info: null,
  warnings: null,
  auth: null
}
