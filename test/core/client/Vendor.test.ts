import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { CredentialUnavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { AcmeApi, declaration, overTheWire } from "../../fakes/Acme.ts"
import { json, serve } from "../../fakes/ScriptedServer.ts"

const environment = (settings: Readonly<Record<string, string>>) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(settings)))

const apiOf = <Endpoint extends HttpApiEndpoint.Constraint>(endpoint: Endpoint) =>
  HttpApi.make("acme").add(HttpApiGroup.make("items").add(endpoint))

const text = Schema.Struct({ text: Schema.String })

describe("Vendor", () => {
  describe("refuses at once a contract that cannot be guarded, and says what to change:", () => {
    it.each<readonly [string, make: () => unknown, message: RegExp]>([
      [
        "a POST without a declared safety",
        () => Vendor.make({ ...declaration, api: apiOf(HttpApiEndpoint.post("create", "/items")) }),
        /items\.create is a POST .*add \.annotate\(Operation\.Safety, "Idempotent" \| "Keyed" \| "Unsafe"\)/
      ],
      [
        "a DELETE without one",
        () => Vendor.make({ ...declaration, api: apiOf(HttpApiEndpoint.delete("remove", "/items")) }),
        /items\.remove is a DELETE .*add \.annotate\(Operation\.Safety/
      ],
      [
        "a keyed write without an idempotency header",
        () =>
          Vendor.make({
            ...declaration,
            idempotencyHeader: undefined,
            api: apiOf(HttpApiEndpoint.post("create", "/items").annotate(Operation.Safety, "Keyed"))
          }),
        /Vendor acme: items\.create is Keyed, but the vendor declares no idempotencyHeader/
      ],
      [
        "a stream of bytes as a success",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(HttpApiEndpoint.get("read", "/items", { success: HttpApiSchema.StreamUint8Array() }))
          }),
        /items\.read declares a stream or an upgrade/
      ],
      [
        "a stream of lines as a success",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(HttpApiEndpoint.get("read", "/items", { success: HttpApiSchema.StreamNdjson({ schema: text }) }))
          }),
        /items\.read declares a stream or an upgrade/
      ],
      [
        "a stream beside a buffered success",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(HttpApiEndpoint.get("read", "/items", { success: [text, HttpApiSchema.StreamUint8Array()] }))
          }),
        /items\.read declares a stream or an upgrade/
      ],
      [
        "an upgrade to another protocol",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(
              HttpApiEndpoint.get("read", "/items", { success: HttpApiSchema.Upgrade({ protocol: "tea" }) })
            )
          }),
        /items\.read declares a stream or an upgrade/
      ],
      [
        "a stream as a payload",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(
              HttpApiEndpoint.put("write", "/items", { payload: HttpApiSchema.StreamUint8Array() })
                .annotate(Operation.Safety, "Idempotent")
            )
          }),
        /items\.write declares a payload as Stream; a guarded call can send JSON, a form, text or bytes/
      ],
      [
        "files as a payload",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(
              HttpApiEndpoint.put("write", "/items", { payload: text.pipe(HttpApiSchema.asMultipart()) })
                .annotate(Operation.Safety, "Idempotent")
            )
          }),
        /items\.write declares a payload as Multipart; a guarded call can send/
      ],
      [
        "an invalid cost",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(HttpApiEndpoint.get("read", "/items").annotate(Operation.Cost, -1))
          }),
        /items\.read: cost must be at least 0 and finite, got -1/
      ],
      [
        "a payload of a GET",
        () =>
          Vendor.make({
            ...declaration,
            api: apiOf(HttpApiEndpoint.get("read", "/items", { payload: { text: Schema.String } }))
          }),
        /items\.read is a GET with a payload; declare it as its query/
      ],
      [
        "a policy that contradicts itself",
        () => Vendor.make({ ...declaration, policy: { deadline: "1 second", attemptTimeout: "2 seconds" } }),
        /attemptTimeout \(2000 ms\) is longer than deadline \(1000 ms\)/
      ],
      [
        "a policy that contradicts that of an operation",
        () =>
          Vendor.make({
            ...declaration,
            policy: { deadline: "1 second", attemptTimeout: "1 second" },
            api: apiOf(
              HttpApiEndpoint.get("read", "/items").annotate(Operation.Policy, { attemptTimeout: "2 seconds" })
            )
          }),
        /attemptTimeout \(2000 ms\) is longer than deadline \(1000 ms\)/
      ]
    ])("%s", (_, make, message) => {
      assert.throws(make, message)
    })

    it("also as a service, where it is declared", () => {
      assert.throws(
        () => Vendor.Service<object>()({ ...declaration, api: apiOf(HttpApiEndpoint.post("create", "/items")) }),
        /add \.annotate\(Operation\.Safety/
      )
    })
  })

  it("treats a GET and a HEAD as reads", () => {
    for (const endpoint of [HttpApiEndpoint.get("read", "/items"), HttpApiEndpoint.head("read", "/items")]) {
      assert.doesNotThrow(() => Vendor.make({ ...declaration, api: apiOf(endpoint) }))
    }
  })

  describe("is", () => {
    const transport = UndiciTransport.layer({ loopback: true })

    it.live("at its declared base URL, unless the environment overrides it", () =>
      Effect.gen(function*() {
        const declared = yield* serve(() => json({ ok: true }))
        const simulated = yield* serve(() => json({ ok: true }))
        const there = { ...declaration, name: "acme-europe", baseUrl: declared.baseUrl }
        const plain = yield* Vendor.make(there).pipe(environment({ ACME_BASE_URL: simulated.baseUrl }))
        yield* plain.ping()
        const moved = yield* Vendor.make(there).pipe(environment({ ACME_EUROPE_BASE_URL: `${simulated.baseUrl}/v2` }))
        yield* moved.ping()
        assert.deepStrictEqual(declared.seen.map(({ url }) => url), ["/ping"])
        assert.deepStrictEqual(simulated.seen.map(({ url }) => url), ["/v2/ping"])
      }).pipe(overTheWire))

    it.effect.each([
      "https://api.acme.example",
      "https://127.0.0.1:1",
      "http://127.0.0.1:1",
      "http://127.255.0.1",
      "http://localhost:1",
      "http://[::1]:1"
    ])("at the configured %s", (baseUrl) =>
      Effect.gen(function*() {
        yield* Vendor.make({ ...declaration, baseUrl })
        yield* Vendor.make(declaration).pipe(environment({ ACME_BASE_URL: baseUrl }))
      }).pipe(Effect.provide(transport)))

    it.effect.each([
      "http://api.acme.example",
      "http://localhost.acme.example",
      "http://127.0.0.1.acme.example",
      "http://user@127.0.0.1@acme.example",
      "http://0.0.0.0",
      "http://10.0.0.1",
      "http://[::]",
      "http://[::ffff:10.0.0.1]",
      "ftp://127.0.0.1",
      "file:///etc/passwd",
      "javascript:alert(1)"
    ])("not made with %s, which anybody could read", (baseUrl) =>
      Effect.gen(function*() {
        for (
          const make of [
            Vendor.make({ ...declaration, baseUrl }),
            Vendor.make(declaration).pipe(environment({ ACME_BASE_URL: baseUrl }))
          ]
        ) {
          const error = yield* Effect.flip(make)
          assert.deepStrictEqual(
            error,
            new Vendor.VendorMisconfigured({
              vendor: "acme",
              message: baseUrl.startsWith("http:")
                ? "ACME_BASE_URL: plain http needs the host in the transport's option `plainHttp`; use https"
                : "ACME_BASE_URL must begin with https:// (http:// is for this machine only)"
            })
          )
        }
      }).pipe(Effect.provide(transport)))

    it.effect.each<readonly [baseUrl: string, issue: string]>([
      ["https://us:them@acme.example", "must hold no user and no password; the secret is ACME_API_KEY"],
      ["https://acme.example/v2#top", "must have no fragment"]
    ])("not made with %s, part of which would never be sent", ([baseUrl, issue]) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(Vendor.make({ ...declaration, baseUrl }))
        assert.deepStrictEqual(
          error,
          new Vendor.VendorMisconfigured({ vendor: "acme", message: `ACME_BASE_URL ${issue}` })
        )
      }).pipe(Effect.provide(transport)))

    it.effect("not made with an invalid URL", () =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          Vendor.make(declaration).pipe(environment({ ACME_BASE_URL: "api.acme.example" }))
        )
        const message = `ACME_BASE_URL must be a whole URL, such as ${declaration.baseUrl}`
        assert.deepStrictEqual(error, new Vendor.VendorMisconfigured({ vendor: "acme", message }))
      }).pipe(Effect.provide(transport)))

    it.effect("not made without its credential: its layer says which one is missing, and where", () =>
      Effect.gen(function*() {
        class Acme extends Vendor.Service<Acme>()({ ...declaration, name: "acme-europe", auth: { _tag: "Bearer" } }) {}
        const build = Effect.scoped(Layer.build(Acme.layer))
        const error = yield* Effect.flip(build)
        assert.deepStrictEqual(
          error,
          new Vendor.VendorMisconfigured({
            vendor: "acme-europe",
            message: "the credential ACME_EUROPE_API_KEY is not available"
          })
        )
        const elsewhere = yield* Effect.flip(build.pipe(
          Effect.provideService(Credentials, { read: () => Effect.fail(new CredentialUnavailable("vault/acme")) })
        ))
        assert.strictEqual(elsewhere.message, "the credential vault/acme is not available")
        yield* build.pipe(environment({ ACME_EUROPE_API_KEY: "test" }))
        // An empty variable counts as missing.
        yield* Effect.flip(build.pipe(environment({ ACME_EUROPE_API_KEY: "" })))
      }).pipe(Effect.provide(transport), environment({})))

    it.effect("made without a credential, if it needs none", () =>
      Vendor.make(declaration).pipe(Effect.asVoid, Effect.provide(transport), environment({})))
  })

  it.live("is a service, made from its declaration and a transport", () =>
    Effect.gen(function*() {
      const server = yield* serve(() => json({ ok: true }))
      class Acme extends Vendor.Service<Acme>()(declaration) {}
      assert.strictEqual(Acme.declaration, declaration)
      const context = yield* Layer.build(Acme.layer).pipe(environment({ ACME_BASE_URL: server.baseUrl }))
      const acme: Context.Service.Shape<typeof Acme> = Context.get(context, Acme)
      assert.deepStrictEqual(yield* acme.ping(), { ok: true })
      assert.deepStrictEqual(Object.keys(acme).toSorted(), ["items", "ping"])
      assert.deepStrictEqual(
        Object.keys(acme.items).toSorted(),
        ["create", "find", "label", "list", "remove", "ship", "update"]
      )
      assert.strictEqual(Acme.declaration.api, AcmeApi)
    }).pipe(overTheWire))
})
