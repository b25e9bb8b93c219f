/**
 * Vendors over plain http. Found in use: `http://mock:8080` was impossible, and without `loopback: true` the call failed
 * with "the request does not fit the contract".
 */
import * as Vendor from "@breakwater/core/client/Vendor"
import * as AddressGuard from "@breakwater/core/transport/AddressGuard"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { isVendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { createServer } from "node:http"
import { networkInterfaces } from "node:os"
import * as Loopback from "../fakes/Loopback.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(HttpApiEndpoint.get("find", "/", { success: Schema.Int }))
)

/** The result of a call, or why there was none: a lookup leads each name to one address. */
const outcomeOf = (baseUrl: string, options: UndiciTransport.UndiciTransportOptions, address = "127.0.0.1") =>
  Effect.gen(function*() {
    const declaration = { name: "acme", api: Api, baseUrl: "https://acme.example", policy: { retry: false } } as const
    const client = yield* Vendor.make(declaration)
    return yield* Effect.match(client.find(), {
      onSuccess: (answer) => String(answer),
      onFailure: (error) => isVendorError(error) ? error.reason.message : String(error)
    })
  }).pipe(
    Effect.catch((error) => Effect.succeed(`start: ${error.message}`)),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown({ ACME_BASE_URL: baseUrl })),
    Effect.provide(UndiciTransport.layer({ dns: { lookup: () => Effect.succeed([address]) }, ...options })),
    Effect.scoped
  )

const needsPlainHttp =
  "start: ACME_BASE_URL: plain http needs the host in the transport's option `plainHttp`; use https"
const needsLoopback = "start: ACME_BASE_URL: plain http to this machine needs the transport's option `loopback: true`"
const forbidden = "the vendor's address is not allowed: private, loopback or reserved"

describe("a base URL over plain http", () => {
  it.live("is called at a host of `plainHttp`, and at this machine with `loopback`", () =>
    Effect.gen(function*() {
      const { port } = yield* Loopback.listen(createServer((_, response) => {
        response.setHeader("content-type", "application/json")
        response.end("7")
      }))
      assert.strictEqual(yield* outcomeOf(`http://localhost:${port}`, { loopback: true }), "7")
      // This server is at a loopback address, which a name of another machine never reaches.
      assert.strictEqual(yield* outcomeOf(`http://mock:${port}`, { plainHttp: [`mock:${port}`] }), forbidden)
    }).pipe(Effect.scoped))

  it.live.each<readonly [baseUrl: string, options: UndiciTransport.UndiciTransportOptions, outcome: string]>([
    ["http://localhost:8080", {}, needsLoopback],
    ["http://127.0.0.1:8080", {}, needsLoopback],
    ["http://[::1]:8080", { plainHttp: ["mock:8080"] }, needsLoopback],
    ["http://mock:8080", {}, needsPlainHttp],
    ["http://mock:8080", { loopback: true }, needsPlainHttp],
    ["http://mock:8081", { plainHttp: ["mock:8080"] }, needsPlainHttp],
    ["http://mock", { plainHttp: ["mock:8080"] }, needsPlainHttp],
    ["http://mock.example:8080", { plainHttp: ["mock:8080"] }, needsPlainHttp],
    ["http://10.1.2.3:8080", { allow: ["10.0.0.0/8"] }, needsPlainHttp],
    [
      "http://user@mock:8080",
      { plainHttp: ["mock:8080"] },
      "start: ACME_BASE_URL must hold no user and no password; the secret is ACME_API_KEY"
    ],
    [
      "ftp://mock:8080",
      { plainHttp: ["mock:8080"] },
      "start: ACME_BASE_URL must begin with https:// (http:// is for this machine only)"
    ]
  ])(
    "is refused at the start, with the option that it lacks: %s with %j",
    ([baseUrl, options, outcome]) =>
      Effect.gen(function*() {
        assert.strictEqual(yield* outcomeOf(baseUrl, options), outcome)
      })
  )

  it.live.each<readonly [address: string, deny: ReadonlyArray<string>]>([
    ["169.254.169.254", []],
    ["fd00:ec2::254", []],
    ["127.0.0.1", []],
    ["0.0.0.0", []],
    ["224.0.0.1", []],
    ["100.64.0.1", []],
    ["::ffff:10.0.0.1", []],
    ["10.0.0.1", ["10.0.0.0/24"]]
  ])("does not lead a listed host to %s, denied %j", ([address, deny]) =>
    Effect.gen(function*() {
      const outcome = yield* outcomeOf("http://mock:8080", { plainHttp: ["mock:8080"], deny }, address)
      assert.strictEqual(outcome, forbidden)
    }))
})

/** A private address of this machine, such as that of a container. */
const own =
  Object.values(networkInterfaces()).flat().find((one) =>
    /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|f[cd][0-9a-f]{2}:)/.test(one?.address ?? "")
  )?.address ?? ""
const ownHost = own.includes(":") ? `[${own}]` : own

describe.skipIf(own === "")("a listed host at a private address", () => {
  it.live("answers, by its name and by its address", () =>
    Effect.gen(function*() {
      const server = createServer((_, response) => {
        response.setHeader("content-type", "application/json")
        response.end("7")
      })
      const { port } = yield* Loopback.listen(server, () => {}, { host: own, port: 0 })
      const plainHttp = [`mock:${port}`, `${ownHost}:${port}`]
      assert.strictEqual(yield* outcomeOf(`http://mock:${port}`, { plainHttp }, own), "7")
      assert.strictEqual(yield* outcomeOf(`http://${ownHost}:${port}`, { plainHttp }), "7")
      assert.strictEqual(yield* outcomeOf(`http://mock:${port}`, { plainHttp, deny: [own] }, own), forbidden)
    }).pipe(Effect.scoped))
})

describe("`plainHttp`", () => {
  const guard = AddressGuard.make({ plainHttp: ["Mock:8080", "sidecar", "10.1.2.3:81", "[fd12::1]:82"] })

  it("allows private addresses for its hosts alone", () => {
    for (const address of ["10.0.0.1", "172.16.0.9", "192.168.1.1", "fd12:3456::1", "8.8.8.8"]) {
      assert.isUndefined(guard.refusal(address, "mock"), address)
      assert.isUndefined(guard.refusal(address, "MOCK."), address)
      if (address !== "8.8.8.8") assert.isDefined(guard.refusal(address, "other"), address)
    }
    assert.isUndefined(guard.refusal("10.1.2.3"))
    assert.isUndefined(guard.refusal("fd12::1"))
    assert.isDefined(guard.refusal("10.1.2.4"))
  })

  it.each<readonly [host: string, port: number, isAllowed: boolean]>([
    ["mock", 8080, true],
    ["mock.", 8080, true],
    ["mock", 80, false],
    ["sidecar", 80, true],
    ["sidecar", 8080, false],
    ["10.1.2.3", 81, true],
    ["[fd12::1]", 82, true],
    ["fd12::1", 82, true],
    ["amock", 8080, false],
    ["localhost", 8080, false]
  ])("allows http to %s:%d: %s", (host, port, isAllowed) => {
    assert.strictEqual(guard.allowsHttp(host, port), isAllowed)
  })

  it.each(["", "http://mock", "mock/", "user@mock", "mock:port", "*", "mock:8080?x", "mock mock"])(
    "must be hosts: %j",
    (text) => {
      if (text === "*") return assert.isFalse(AddressGuard.make({ plainHttp: [text] }).allowsHttp("mock", 80))
      assert.throws(() => AddressGuard.make({ plainHttp: [text] }), "plainHttp must be hosts such as mock:8080")
    }
  )

  it.each(["localhost", "127.0.0.1:8080", "[::1]", "api.localhost:1"])("is not for this machine: %s", (text) => {
    assert.throws(() => AddressGuard.make({ plainHttp: [text] }), "the option `loopback` is for this machine")
  })
})
