import type { Secret, SourceUnavailable } from "@breakwater/core/credentials/Source"
import * as Vault from "@breakwater/core/sources/Vault"
import { assert, describe, it } from "@effect/vitest"
import { Clock, type Duration, Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { FetchHttpClient, HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import nodeVault from "node-vault"
import { randomUUID } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FakeVault from "../../fakes/Vault.ts"

const stripe = { vendor: "stripe", key: "" }

const valueOf = (secret: Secret | undefined) => secret === undefined ? undefined : Redacted.value(secret.value)

const make = (
  fake: FakeVault.FakeVault,
  options: Partial<Vault.VaultOptions> = {},
  client: Layer.Layer<HttpClient.HttpClient> = FetchHttpClient.layer
) =>
  Vault.make({
    address: fake.address,
    auth: { _tag: "Token", token: Redacted.make(fake.makeToken()) },
    pause: 0,
    ...options
  }).pipe(Effect.provide(client))

/** On virtual time. */
const makeInMemory = (fake: FakeVault.FakeVault, options?: Partial<Vault.VaultOptions>) =>
  make(
    fake,
    options,
    Layer.effect(
      HttpClient.HttpClient,
      Effect.map(HttpClient.HttpClient, HttpClient.transform(Effect.provideService(FetchHttpClient.Fetch, fake.fetch)))
    ).pipe(Layer.provide(FetchHttpClient.layer))
  )

/** Advances the clock, and lets everything triggered by it finish. */
const adjust = (duration: Duration.Input) => Effect.andThen(TestClock.adjust(duration), settled)

/** Nothing here waits for a socket, so a few turns are enough. */
const settled = Effect.forEach(Array.from({ length: 20 }), () =>
  Effect.callback<void>((resume) => {
    setImmediate(() => resume(Effect.void))
  }), { discard: true })

const appRole = (fake: FakeVault.FakeVault) => {
  const [roleId, secretId] = [randomUUID(), randomUUID()]
  fake.appRoles.set(roleId, new Set([secretId]))
  return { auth: { _tag: "AppRole" as const, roleId, secretId: Redacted.make(secretId) }, roleId, secretId }
}

const logins = (asked: ReadonlyArray<FakeVault.Asked>) => asked.filter(({ path }) => path.endsWith("/login")).length
const renewals = (asked: ReadonlyArray<FakeVault.Asked>) =>
  asked.filter(({ path }) => path === "auth/token/renew-self").length

const dynamic = { _tag: "Dynamic", path: "database/creds/{vendor}", field: "password" } as const

describe("the fake of Vault", () => {
  it.live("is accepted by another client of Vault", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const { roleId, secretId } = appRole(fake)
      const value = randomUUID()
      yield* Effect.promise(async () => {
        const client = nodeVault({ endpoint: fake.address })
        const { auth } = await client.approleLogin({ role_id: roleId, secret_id: secretId })
        client.token = auth.client_token
        assert.isAbove(((await client.tokenLookupSelf()) as { data: { ttl: number } }).data.ttl, 3_000)
        await client.tokenRenewSelf()
        await client.write("secret/data/stripe", { data: { api_key: value } })
        const read = await client.read("secret/data/stripe")
        assert.strictEqual(read.data.data.api_key, value)
        assert.strictEqual(read.data.metadata.version, 1)
        const leased = await client.read("database/creds/readonly")
        assert.isTrue(fake.isPassword(leased.data.password))
        await client.request({
          method: "PUT",
          path: "/sys/leases/renew",
          json: { lease_id: leased.lease_id, increment: 30 }
        })
        await client.revoke({ lease_id: leased.lease_id })
        assert.isFalse(fake.isPassword(leased.data.password))
        await client.tokenRevokeSelf()
        assert.isFalse(fake.isAlive(auth.client_token))
      })
    }).pipe(Effect.scoped))
})

describe("Vault (a fake) as a source", () => {
  it.live("reads the field of the latest version, by a path made of vendor and key", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const values = [randomUUID(), randomUUID(), randomUUID()]
      fake.put("vendors/stripe", { key: values[0], other: "x" })
      fake.put("vendors/stripe/eu west", { key: values[1] })
      const source = yield* make(fake, { engine: { _tag: "KeyValue", path: "vendors/{vendor}/{key}", field: "key" } })
      assert.strictEqual(source.name, "vault")
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), values[0])
      assert.strictEqual(valueOf(yield* source.fetch({ vendor: "stripe", key: "eu west" })), values[1])
      fake.put("vendors/stripe", { key: values[2] })
      const secret = yield* source.fetch(stripe)
      assert.strictEqual(valueOf(secret), values[2])
      assert.isUndefined(secret?.expiresAt)
      assert.isTrue(fake.asked.every(({ headers }) => headers["x-vault-request"] === "true"))
    }).pipe(Effect.scoped))

  it.live("pins one version if configured", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const value = randomUUID()
      fake.put("stripe", { api_key: value })
      fake.put("stripe", { api_key: randomUUID() })
      const source = yield* make(fake, { engine: { _tag: "KeyValue", version: 1 } })
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
    }).pipe(Effect.scoped))

  it.live("has no secret if it is missing or deleted, or if the name would lead elsewhere", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      fake.put("stripe", { api_key: randomUUID() })
      fake.remove("stripe")
      const source = yield* make(fake)
      assert.isUndefined(yield* source.fetch(stripe))
      assert.isUndefined(yield* source.fetch({ vendor: "adyen", key: "" }))
      const before = fake.asked.length
      for (const key of ["..", "../../sys", "a/b", "a?version=1", "eu."]) {
        assert.isUndefined(yield* source.fetch({ vendor: "stripe", key }), key)
      }
      assert.strictEqual(fake.asked.length, before)
    }).pipe(Effect.scoped))

  it.effect("knows when a version will be deleted", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      yield* TestClock.setTime(1_000_000)
      fake.put("stripe", { api_key: randomUUID() }, { deletionTime: new Date(1_060_000).toISOString() })
      const source = yield* make(fake)
      assert.strictEqual((yield* source.fetch(stripe))?.expiresAt, 1_060_000)
    }).pipe(Effect.scoped))

  it.live("fails with the name of a missing field, without the other contents", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const value = randomUUID()
      fake.put("stripe", { other: value, api_key: { nested: value } })
      const source = yield* make(fake)
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.deepStrictEqual(error, {
        _tag: "SourceUnavailable",
        source: "vault",
        issue: "the secret has no text in its field api_key"
      })
    }).pipe(Effect.scoped))

  it.live("sends its namespace", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve("team/a")
      const value = randomUUID()
      fake.put("stripe", { api_key: value })
      const { auth } = appRole(fake)
      const source = yield* make(fake, { auth, namespace: "team/a" })
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
      const outside = yield* make(fake, { auth })
      assert.isTrue((yield* Effect.exit(outside.fetch(stripe)))._tag === "Failure")
    }).pipe(Effect.scoped))

  it.live("logs in once for concurrent callers, by role id and secret id", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const value = randomUUID()
      fake.put("stripe", { api_key: value })
      const source = yield* make(fake, { auth: appRole(fake).auth })
      assert.strictEqual(logins(fake.asked), 0)
      const secrets = yield* Effect.all(Array.from({ length: 50 }, () => source.fetch(stripe)), {
        concurrency: "unbounded"
      })
      assert.isTrue(secrets.every((secret) => valueOf(secret) === value))
      assert.strictEqual(logins(fake.asked), 1)
    }).pipe(Effect.scoped))

  it.live("unwraps a wrapped secret id once, and reports that it was already unwrapped", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const { roleId, secretId } = appRole(fake)
      const value = randomUUID()
      fake.put("stripe", { api_key: value })
      const wrapping = fake.wrap({ secret_id: secretId, secret_id_accessor: randomUUID(), secret_id_ttl: 60 })
      const auth = { _tag: "AppRole", roleId, secretId: Redacted.make(wrapping), isWrapped: true } as const
      const source = yield* make(fake, { auth })
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
      // A second login does not unwrap again.
      fake.revokeToken(fake.asked.at(-1)!.token!)
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
      assert.strictEqual(logins(fake.asked), 2)
      const late = yield* make(fake, { auth })
      const error = yield* Effect.flip(late.fetch(stripe))
      assert.isTrue(error.isRefusal)
      assert.include(error.issue, "may have been unwrapped by somebody else")
    }).pipe(Effect.scoped))

  it.live("reads the token of the service account at every login", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const [value, first, second] = [randomUUID(), randomUUID(), randomUUID()]
      fake.put("stripe", { api_key: value })
      const folder = mkdtempSync(join(tmpdir(), "breakwater-"))
      yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(folder, { recursive: true })))
      const tokenFile = join(folder, "token")
      writeFileSync(tokenFile, `${first}\n`)
      fake.serviceAccounts.set("shop", new Set([first]))
      const source = yield* make(fake, { auth: { _tag: "Kubernetes", role: "shop", tokenFile } })
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
      writeFileSync(tokenFile, second)
      fake.serviceAccounts.set("shop", new Set([second]))
      fake.revokeToken(fake.asked.at(-1)!.token!)
      assert.strictEqual(valueOf(yield* source.fetch(stripe)), value)
      rmSync(tokenFile)
      fake.revokeToken(fake.asked.at(-1)!.token!)
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.strictEqual(error.issue, "the token of the service account cannot be read")
    }).pipe(Effect.scoped))

  it.live("does not log in again for a path that its policy forbids", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      fake.login = { paths: ["secret/data/adyen"] }
      const source = yield* make(fake, { auth: appRole(fake).auth })
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.isTrue(error.isRefusal)
      assert.strictEqual(error.issue, "it does not allow reading the secret (status 403)")
      assert.strictEqual(logins(fake.asked), 1)
    }).pipe(Effect.scoped))

  it.live("is refused once, without a loop, if every new token is dead at once", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      fake.login = { ttl: 1, paths: ["nothing"] }
      const { auth } = appRole(fake)
      const source = yield* make(fake, { auth })
      const error = yield* Effect.flip(source.fetch(stripe))
      assert.isTrue(error.isRefusal)
      assert.isAtMost(logins(fake.asked), 2)
    }).pipe(Effect.scoped))

  it.effect("does not repeat a login of unknown fate: a secret id may allow only one", () =>
    Effect.gen(function*() {
      let asked = 0
      const vault = HttpClient.make((request) => {
        asked++
        const reason = new HttpClientError.TransportError({ request, cause: new Error("reset") })
        return Effect.fail(new HttpClientError.HttpClientError({ reason }))
      })
      const source = yield* Vault.make({
        address: "https://vault.example.com",
        auth: { _tag: "AppRole", roleId: "role", secretId: Redacted.make(randomUUID()) },
        pause: 0
      }).pipe(Effect.provideService(HttpClient.HttpClient, vault))
      assert.strictEqual((yield* Effect.flip(source.fetch(stripe))).issue, "it cannot be reached")
      assert.strictEqual(asked, 1)
    }).pipe(Effect.scoped))

  it.effect("is requested with one new login, but no third, if Vault knows none of its own tokens", () =>
    Effect.gen(function*() {
      let logins = 0
      const vault = HttpClient.make((request) => {
        const isLogin = request.url.endsWith("/login")
        if (isLogin) logins++
        const auth = { client_token: randomUUID(), lease_duration: 0, renewable: false }
        const answer = Response.json(isLogin ? { auth } : { errors: [] }, { status: isLogin ? 200 : 403 })
        return logins > 5 ? Effect.never : Effect.succeed(HttpClientResponse.fromWeb(request, answer))
      })
      const source = yield* Vault.make({
        address: "https://vault.example.com",
        auth: { _tag: "AppRole", roleId: "role", secretId: Redacted.make(randomUUID()) }
      }).pipe(Effect.provideService(HttpClient.HttpClient, vault))
      assert.isTrue((yield* Effect.flip(source.fetch(stripe))).isRefusal)
      assert.strictEqual(logins, 2)
    }).pipe(Effect.scoped))

  it.live.each([400, 403] as const)(
    "reports a refused login with status %s",
    (status) =>
      Effect.gen(function*() {
        const fake = yield* FakeVault.serve()
        const auth = status === 400
          ? { _tag: "AppRole", roleId: randomUUID(), secretId: Redacted.make(randomUUID()) } as const
          : { _tag: "Token", token: Redacted.make(randomUUID()) } as const
        const source = yield* make(fake, { auth })
        const error = yield* Effect.flip(source.fetch(stripe))
        assert.isTrue(error.isRefusal)
        assert.include(error.issue, `status ${status}`)
        assert.strictEqual(fake.asked.length, 1)
      }).pipe(Effect.scoped)
  )
})

describe("a token of Vault (a fake)", () => {
  const served = (auth: "AppRole" | "Token", login: FakeVault.TokenOptions) =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      fake.login = login
      fake.put("stripe", { api_key: randomUUID() })
      const token = fake.makeToken(login)
      const source = yield* makeInMemory(fake, {
        auth: auth === "AppRole" ? appRole(fake).auth : { _tag: "Token", token: Redacted.make(token) }
      })
      yield* source.fetch(stripe)
      return { fake, source, token }
    })

  it.effect.each(["AppRole", "Token"] as const)(
    "is renewed well before its expiry: %s",
    (auth) =>
      Effect.gen(function*() {
        const { fake, source } = yield* served(auth, { ttl: 600, maxTtl: 36_000 })
        const token = fake.asked.at(-1)!.token!
        yield* adjust("359 seconds")
        assert.strictEqual(renewals(fake.asked), 0)
        yield* adjust("92 seconds")
        yield* fake.until("it is renewed", (asked) => renewals(asked) === 1)
        yield* adjust("300 seconds")
        assert.isTrue(fake.isAlive(token))
        yield* source.fetch(stripe)
        assert.strictEqual(fake.asked.at(-1)!.token, token)
      }).pipe(Effect.scoped)
  )

  it.effect("is replaced by a new login before its expiry once it cannot be renewed", () =>
    Effect.gen(function*() {
      const { fake } = yield* served("AppRole", { ttl: 600, maxTtl: 900 })
      yield* adjust("451 seconds")
      yield* fake.until("it is renewed", (asked) => renewals(asked) === 1)
      // The renewal grants 449 seconds, more than half; the next one would grant too little.
      yield* adjust("340 seconds")
      yield* fake.until("it is renewed", (asked) => renewals(asked) === 2)
      yield* adjust("84 seconds")
      yield* fake.until("there is a new login", (asked) => logins(asked) === 2)
      assert.isTrue(fake.isAlive(fake.asked.find(({ path }) => path.startsWith("secret"))!.token!), "the old one lives")
    }).pipe(Effect.scoped))

  it.effect("is replaced by a new login if it is not renewable", () =>
    Effect.gen(function*() {
      const { fake } = yield* served("AppRole", { ttl: 600, renewable: false })
      yield* adjust("451 seconds")
      yield* fake.until("there is a new login", (asked) => logins(asked) === 2)
      assert.strictEqual(renewals(fake.asked), 0)
    }).pipe(Effect.scoped))

  it.effect("is renewed if Vault is back before its expiry", () =>
    Effect.gen(function*() {
      const { fake, source } = yield* served("AppRole", { ttl: 600, maxTtl: 36_000 })
      fake.state = 503
      const before = fake.asked.length
      yield* adjust("451 seconds")
      yield* fake.until("it was tried three times", (asked) => asked.length === before + 3)
      fake.state = "active"
      yield* adjust("113 seconds")
      yield* fake.until("it is renewed", (asked) =>
        asked.at(-1)?.path === "auth/token/renew-self" && asked.at(-1)?.status === 200)
      yield* source.fetch(stripe)
      assert.strictEqual(logins(fake.asked), 1)
    }).pipe(Effect.scoped))

  it.effect("is replaced by a new login if it has expired or was revoked", () =>
    Effect.gen(function*() {
      const { fake, source } = yield* served("AppRole", { ttl: 600 })
      fake.revokeToken(fake.asked.at(-1)!.token!)
      yield* source.fetch(stripe)
      assert.strictEqual(logins(fake.asked), 2)
    }).pipe(Effect.scoped))

  it.effect("that never expires is not renewed", () =>
    Effect.gen(function*() {
      const { fake, source } = yield* served("Token", { ttl: 0 })
      yield* adjust("400 days")
      yield* source.fetch(stripe)
      assert.strictEqual(renewals(fake.asked), 0)
      assert.strictEqual(fake.asked.length, 3)
    }).pipe(Effect.scoped))

  it.effect("of a month is not renewed constantly, although no timer reaches that far", () =>
    Effect.gen(function*() {
      const { fake } = yield* served("Token", { ttl: 32 * 86_400 })
      yield* adjust("1 day")
      yield* fake.until("it is renewed", (asked) => renewals(asked) === 1)
      yield* adjust("1 hour")
      assert.strictEqual(renewals(fake.asked), 1)
    }).pipe(Effect.scoped))

  it.live("is revoked at the end if it is our own, and left if it came from outside", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      fake.put("stripe", { api_key: randomUUID() })
      const given = fake.makeToken()
      for (const auth of [appRole(fake).auth, { _tag: "Token", token: Redacted.make(given) } as const]) {
        yield* Effect.scoped(Effect.flatMap(make(fake, { auth }), (source) => source.fetch(stripe)))
      }
      assert.isTrue(fake.isAlive(given))
      assert.strictEqual(fake.asked.filter(({ path }) => path === "auth/token/revoke-self").length, 1)
      assert.isFalse(fake.isAlive(fake.asked.find(({ path }) => path.startsWith("secret"))!.token!))
    }).pipe(Effect.scoped))

  it.effect("does not delay the end if Vault is gone", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      fake.put("stripe", { api_key: randomUUID() })
      const scope = yield* Scope.make()
      const source = yield* Scope.provide(makeInMemory(fake, { auth: appRole(fake).auth, pause: "1 minute" }), scope)
      yield* source.fetch(stripe)
      fake.state = 503
      const before = fake.asked.length
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* fake.until("it was tried", (asked) => asked.length > before)
      yield* adjust("2 seconds")
      yield* Fiber.join(closing)
      assert.strictEqual(fake.asked.length, before + 1)
    }).pipe(Effect.scoped))
})

describe("a dynamic secret of Vault (a fake)", () => {
  const leased = (login: FakeVault.TokenOptions = { ttl: 36_000 }) =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      fake.login = login
      const source = yield* makeInMemory(fake, { auth: appRole(fake).auth, engine: dynamic })
      const secret = yield* source.fetch(stripe)
      if (secret === undefined) return yield* Effect.die("no secret")
      return { fake, source, secret }
    })

  it.effect("is valid as long as its lease, and longer if that is renewed", () =>
    Effect.gen(function*() {
      const { fake, secret } = yield* leased()
      const now = yield* Clock.currentTimeMillis
      assert.strictEqual(secret.expiresAt, now + 60_000)
      yield* adjust("50 seconds")
      const extended = yield* secret.extend!
      assert.strictEqual(valueOf(extended), valueOf(secret))
      assert.strictEqual(extended?.expiresAt, now + 110_000)
      yield* adjust("50 seconds")
      assert.isTrue(fake.isPassword(valueOf(secret)!))
      assert.strictEqual(fake.asked.filter(({ path }) => path === "database/creds/stripe").length, 1)
    }).pipe(Effect.scoped))

  it.effect("cannot be extended near its maximum, if it is not renewable, or after its expiry", () =>
    Effect.gen(function*() {
      const { fake, secret, source } = yield* leased()
      fake.database.maxTtl = 80
      yield* adjust("50 seconds")
      // Half a minute is left of the lease's maximum.
      assert.isUndefined(yield* secret.extend!)
      const next = yield* source.fetch(stripe)
      assert.notStrictEqual(valueOf(next), valueOf(secret))
      assert.isTrue(fake.isPassword(valueOf(secret)!), "both are good for a while")
      assert.isTrue(fake.isPassword(valueOf(next)!))
      yield* adjust("61 seconds")
      assert.isUndefined(yield* next!.extend!)
      fake.database.renewable = false
      assert.isUndefined((yield* source.fetch(stripe))?.extend)
    }).pipe(Effect.scoped))

  it.effect("expires with the token it was created under", () =>
    Effect.gen(function*() {
      const { fake, secret } = yield* leased({ ttl: 40, maxTtl: 40 })
      assert.strictEqual(secret.expiresAt, (yield* Clock.currentTimeMillis) + 40_000)
      fake.revokeToken(fake.asked.at(-1)!.token!)
      assert.isUndefined(yield* secret.extend!)
    }).pipe(Effect.scoped))

  it.effect("is not extended once there is a newer token, whose leases last longer", () =>
    Effect.gen(function*() {
      const { fake, secret, source } = yield* leased({ ttl: 100, renewable: false })
      yield* adjust("30 seconds")
      const extended = yield* secret.extend!
      assert.isDefined(extended)
      yield* adjust("46 seconds")
      yield* fake.until("there is a new login", (asked) => logins(asked) === 2)
      const before = fake.asked.length
      assert.isUndefined(yield* extended.extend!)
      assert.strictEqual(fake.asked.length, before)
      assert.isAbove((yield* source.fetch(stripe))!.expiresAt!, extended.expiresAt!)
    }).pipe(Effect.scoped))

  it.effect("is created by every fetch: the last one may have been refused", () =>
    Effect.gen(function*() {
      const { secret, source } = yield* leased()
      assert.notStrictEqual(valueOf(yield* source.fetch(stripe)), valueOf(secret))
    }).pipe(Effect.scoped))

  it.live("is not requested twice if its creation is uncertain", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const source = yield* makeInMemory(fake, { engine: dynamic })
      yield* source.fetch(stripe)
      fake.state = "down"
      const before = fake.asked.length
      assert.strictEqual((yield* Effect.flip(source.fetch(stripe))).issue, "it cannot be reached")
      assert.strictEqual(fake.asked.length, before + 1)
      fake.state = 500
      yield* Effect.flip(source.fetch(stripe))
      assert.strictEqual(fake.asked.length, before + 2)
    }).pipe(Effect.scoped))

  it.live("is revoked at the end, even under a token that is not", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const token = fake.makeToken()
      const auths = [appRole(fake).auth, { _tag: "Token", token: Redacted.make(token) } as const]
      for (const auth of auths) {
        yield* Effect.scoped(Effect.gen(function*() {
          const source = yield* makeInMemory(fake, { auth, engine: dynamic })
          const secrets = yield* Effect.all([source.fetch(stripe), source.fetch(stripe)])
          assert.isTrue(secrets.every((secret) => fake.isPassword(valueOf(secret)!)))
        }))
        assert.deepStrictEqual(fake.leases, [])
      }
      assert.isTrue(fake.isAlive(token))
    }).pipe(Effect.scoped))
})

describe("Vault (a fake) that is unavailable", () => {
  it.live.each(
    [
      [503, "it is sealed, or down for maintenance (status 503)", 3],
      [429, "it is a standby, or its rate limit is reached (status 429)", 3],
      [473, "it is a performance standby (status 473)", 3],
      [472, "it is a disaster recovery secondary (status 472)", 1],
      [501, "it is not initialized (status 501)", 1],
      [500, "it does not answer as expected (status 500)", 3],
      ["down", "it cannot be reached", 3]
    ] as const
  )("is unavailable, not empty: %s", ([state, issue, times]) =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const source = yield* make(fake)
      fake.put("stripe", { api_key: randomUUID() })
      yield* source.fetch(stripe)
      const before = fake.asked.length
      fake.state = state
      const error: SourceUnavailable = yield* Effect.flip(source.fetch(stripe))
      assert.deepStrictEqual(error, { _tag: "SourceUnavailable", source: "vault", issue })
      assert.strictEqual(fake.asked.length, before + times)
      fake.state = "active"
      assert.isDefined(yield* source.fetch(stripe))
    }).pipe(Effect.scoped))

  it.effect("is retried with growing pauses", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const source = yield* make(fake, { pause: "1 second" })
      fake.state = 503
      const asking = yield* Effect.forkChild(Effect.flip(source.fetch(stripe)))
      yield* fake.until("it was asked", (asked) => asked.length === 1)
      yield* TestClock.adjust("799 millis")
      assert.strictEqual(fake.asked.length, 1)
      yield* TestClock.adjust("401 millis")
      yield* fake.until("it was asked again", (asked) => asked.length === 2)
      yield* TestClock.adjust("1599 millis")
      assert.strictEqual(fake.asked.length, 2)
      yield* TestClock.adjust("801 millis")
      yield* Fiber.join(asking)
      assert.strictEqual(fake.asked.length, 3)
    }).pipe(Effect.scoped))

  it.live.each([
    "http://vault.example.com:8200",
    "vault:8200",
    "https://me:pw@vault",
    "https://vault/?a=b",
    "file:///x"
  ])(
    "is rejected as an address: %s",
    (address) =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(
          Vault.make({ address, auth: { _tag: "Token", token: Redacted.make("x") } }).pipe(
            Effect.provide(FetchHttpClient.layer)
          )
        )
        assert.isTrue(Exit.hasDies(exit))
      }).pipe(Effect.scoped)
  )

  it.live("rejects a path with an unknown placeholder", () =>
    Effect.gen(function*() {
      const fake = yield* FakeVault.serve()
      const exit = yield* Effect.exit(make(fake, { engine: { _tag: "KeyValue", path: "{vendors}" } }))
      assert.isTrue(Exit.hasDies(exit))
    }).pipe(Effect.scoped))
})
