/**
 * A real OAuth 2 server, `oidc-provider`. It rotates refresh tokens, and a token that is used twice revokes all tokens of
 * its sign-in. It accepts every client assertion once. It also exchanges tokens (RFC 8693), a grant added here.
 */
import { Effect, type Scope } from "effect"
import { generateKeyPairSync } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type Adapter, type AdapterPayload, type ClientMetadata, errors, Provider } from "oidc-provider"
import * as Watch from "../watches/Watch.ts"
import * as Loopback from "./Loopback.ts"

interface Asked {
  readonly authorization: string | undefined
  readonly parameters: URLSearchParams
}

export interface AuthorizationServer {
  readonly tokenUrl: string
  readonly issuer: string
  /** The requests to the token endpoint. */
  readonly asked: ReadonlyArray<Asked>
  readonly untilAsked: (count: number) => Effect.Effect<void>
  /** A refresh token, as a user's sign-in issues it. */
  signIn(clientId: string): Effect.Effect<string>
  /** Whether it accepts this access token. */
  isActive(accessToken: string): Effect.Effect<boolean>
  /** Whether it would accept this refresh token. */
  isUnspent(refreshToken: string): Effect.Effect<boolean>
  /** Faults of the next requests, in order: rejected with a 503, or executed without a response. */
  readonly trouble: Array<"busy" | "lost">
  /** Requests wait for it before they are done. */
  gate: Promise<void>
}

export const exchange = "urn:ietf:params:oauth:grant-type:token-exchange"

const signingKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" })

/** Storage of one server, for the duration of a test. */
const adapterOf = (kept: Map<string, AdapterPayload>) => (model: string): Adapter => {
  const find = (id: string) => Promise.resolve(kept.get(`${model}:${id}`))
  return {
    find,
    findByUid: find,
    findByUserCode: find,
    async upsert(id, payload) {
      kept.set(`${model}:${id}`, payload)
    },
    async consume(id) {
      kept.get(`${model}:${id}`)!.consumed = Math.floor(Date.now() / 1_000)
    },
    async destroy(id) {
      kept.delete(`${model}:${id}`)
    },
    async revokeByGrantId(grantId) {
      for (const [id, payload] of kept) if (payload.grantId === grantId) kept.delete(id)
    }
  }
}

const account = "somebody"
const scope = "openid offline_access"

/** Serves at a free port of this machine until the scope ends. */
export const serve = (
  clients: ReadonlyArray<ClientMetadata>,
  options: { readonly accessTokenSeconds?: number } = {}
): Effect.Effect<AuthorizationServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { changed, until } = Watch.make()
    let handle = (_request: IncomingMessage, _response: ServerResponse): unknown => undefined
    const server = createServer((request, response) => handle(request, response))
    const { port } = yield* Loopback.listen(server)
    const issuer = `http://127.0.0.1:${port}`
    const seconds = options.accessTokenSeconds ?? 3_600
    const provider = new Provider(issuer, {
      adapter: adapterOf(new Map()),
      // RFC 7523, 3: an assertion from the future may be rejected.
      assertJwtClientAuthClaimsAndHeader: (_, { iat }) => {
        if (Number(iat) > Date.now() / 1_000 + 15) throw new errors.InvalidClientAuth("iat is in the future")
      },
      clients: clients.map((client) => ({ redirect_uris: [], response_types: [], ...client })),
      clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
      features: {
        clientCredentials: { enabled: true },
        devInteractions: { enabled: false },
        resourceIndicators: { enabled: false }
      },
      findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
      jwks: { keys: [signingKey] },
      rotateRefreshToken: true,
      ttl: { AccessToken: seconds, IdToken: 60, ClientCredentials: seconds, Grant: 3_600, RefreshToken: 3_600 }
    })
    provider.registerGrantType(exchange, async (context) => {
      const subject = await provider.AccessToken.find(String(context.oidc.params["subject_token"]))
      const type = context.oidc.params["subject_token_type"]
      if (subject === undefined || type !== "urn:ietf:params:oauth:token-type:access_token") {
        context.status = 400
        context.body = { error: "invalid_request" }
        return
      }
      const token = new provider.AccessToken({
        accountId: subject.accountId,
        client: context.oidc.client,
        grantId: subject.grantId,
        gty: exchange,
        scope: "openid"
      })
      context.body = {
        access_token: await token.save(),
        issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
        token_type: "Bearer",
        expires_in: 60
      }
    }, ["subject_token", "subject_token_type", "requested_token_type"])

    const asked: Array<Asked> = []
    const trouble: AuthorizationServer["trouble"] = []
    const world = { gate: Promise.resolve() }
    const callback = provider.callback()
    handle = async (request, response) => {
      const chunks: Array<Buffer> = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks).toString()
      asked.push({ authorization: request.headers.authorization, parameters: new URLSearchParams(body) })
      changed()
      const fate = trouble.shift()
      await world.gate
      if (fate === "busy") return response.writeHead(503).end()
      if (fate === "lost") response.end = () => response.destroy()
      // An already parsed body is used as it is.
      return callback(Object.assign(request, { body: Object.fromEntries(new URLSearchParams(body)) }), response)
    }

    return Object.assign(world, {
      issuer,
      tokenUrl: `${issuer}/token`,
      asked,
      trouble,
      untilAsked: (count: number) => until(`it was asked ${count} times`, () => asked.length >= count),
      signIn: (clientId: string) =>
        Effect.promise(async () => {
          const client = (await provider.Client.find(clientId))!
          const grant = new provider.Grant({ accountId: account, clientId })
          grant.addOIDCScope(scope)
          const grantId = await grant.save()
          const properties = { accountId: account, client, grantId, gty: "authorization_code", scope, claims: {} }
          return new provider.RefreshToken(properties).save()
        }),
      isActive: (accessToken: string) =>
        Effect.promise(async () =>
          await provider.AccessToken.find(accessToken) !== undefined ||
          await provider.ClientCredentials.find(accessToken) !== undefined
        ),
      isUnspent: (refreshToken: string) =>
        Effect.promise(async () => {
          const found = await provider.RefreshToken.find(refreshToken)
          return found !== undefined && found.consumed === undefined
        })
    })
  })
