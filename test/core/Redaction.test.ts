import * as Redaction from "@breakwater/core/Redaction"
import { assert, describe, it } from "@effect/vitest"
import { Redacted, Schema } from "effect"
import { randomUUID } from "node:crypto"

const { redacted } = Redaction

/** Texts that must stay readable, or the output would be useless. Published examples name their source. */
const ordinary: ReadonlyArray<string> = [
  "GET /v1/payment_intents/pi_3MtwBwLkdIwHu7ix28a3tqPa?limit=10&starting_after=pi_3MtwBwLkdIwHu7ix28a3tqPb 200 31ms",
  "customer cus_NffrFeUfNV2Hib, charge ch_3MmlLrLkdIwHu7ix0snN0B15, request req_5NxMUJzWyS8vQr",
  // https://docs.stripe.com/api/checkout/sessions/object
  "session cs_test_a11YYufWQzNY63zpQ6QSNRQhkUpVph4WRmzW0zWJO2znZKdVujZ0N0S22u is open",
  "order 9b2e6f0c-6a3b-4a6e-9d52-0d6f2a1b7c11 of 2026-11-23T04:28:30.125Z, ULID 01ARZ3NDEKTSV4RRFFQ69G5FAV",
  // https://www.w3.org/TR/trace-context/#examples-of-http-traceparent-headers
  "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "VendorError: the vendor's rate limit is reached; come back in 30s",
  "    at Exchange.onEnd (file:///srv/app/node_modules/@breakwater/core/dist/vendor/Client/Authorized.js:131:21)",
  "code: card_declined, decline_code: insufficient_funds, type: card_error",
  "token_type=bearer expires_in=3600 auth_time=1700000000 key_count=3",
  "the bearer of this letter; basic auth is refused; a token was expected",
  "call +44 20 7946 0958 or write to support@vendor.example, see https://vendor.example/docs#errors",
  "1700000000000 12345678901234567 0.1 1e21 4242 -1",
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".slice(0, 20),
  "ERR_TLS_CERT_ALTNAME_INVALID: Hostname/IP does not match certificate's altnames",
  "/health/ready?verbose=1&page=2&sort=-created_at",
  "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
]

describe("redaction", () => {
  it.each(ordinary)("leaves %j as it is", (text) => {
    assert.strictEqual(Redaction.text(text), text)
    assert.deepStrictEqual(Redaction.json({ note: text }), { note: text })
  })

  it("leaves the fields of an ordinary response as they are", () => {
    const answer = {
      id: "pi_3MtwBwLkdIwHu7ix28a3tqPa",
      object: "payment_intent",
      amount: 2000,
      created: 1_680_800_504,
      livemode: false,
      status: "requires_payment_method",
      token_type: "Bearer",
      expires_in: 3600,
      total_tokens: 1250,
      next_page_token: null,
      code: "card_declined",
      key: "amount",
      etag: "\"33a64df551425fcc55e4d42a148795d9f25f89d4\"",
      request_id: "4bf92f3577b34da6a3ce929d0e0e4736",
      items: [{ sku: "A-1", tags: ["new", "sale"] }],
      author: "ada",
      passenger: "grace",
      spinner: "on",
      shipping: { city: "Utrecht", postal_code: "3511 AB" }
    }
    assert.deepStrictEqual(Redaction.json(answer), answer)
  })

  it("shows public headers with their values, and only the names of the others", () => {
    assert.deepStrictEqual(
      Redaction.headers({
        "Content-Type": "application/json",
        "Retry-After": "30",
        "X-RateLimit-Remaining": "17",
        "X-Acme-Tenant": "north",
        Authorization: "Bearer x",
        "Set-Cookie": ["a=1", "b=2"],
        Location: "https://u:p@acme.example/orders/7?token=abc&page=2",
        "X-None": undefined
      }),
      {
        "content-type": "application/json",
        "retry-after": "30",
        "x-ratelimit-remaining": "17",
        "x-acme-tenant": redacted,
        authorization: redacted,
        "set-cookie": [redacted, redacted],
        location: `https://${redacted}@acme.example/orders/7?token=${redacted}&page=2`
      }
    )
    assert.deepStrictEqual(Redaction.headers({ "X-Acme-Tenant": "north" }, new Set(["x-acme-tenant"])), {
      "x-acme-tenant": "north"
    })
  })

  it("tells the listener each value that was hidden because of its name", () => {
    const heard: Array<string> = []
    const hear = (secret: string) => heard.push(secret)
    Redaction.json({ a: { password: "one" }, list: [{ otp: "two" }] }, hear)
    Redaction.form("api_key=thr%20ee&page=2", hear)
    Redaction.url("/a?token=four&b=5", hear)
    assert.deepStrictEqual(heard, ["one", "two", "thr ee", "four"])
  })

  it("marks what it cannot show and what it has left out", () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    const deep = Array.from({ length: 50 }).reduce<unknown>((inner) => ({ a: inner }), "bottom")
    const broken = Object.defineProperty({}, "a", {
      enumerable: true,
      get() {
        throw new Error("no")
      }
    })
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    assert.deepStrictEqual(
      Redaction.json([cycle, broken, proxy, new Uint8Array(3), () => 1, Symbol("a"), 1n, Redacted.make("x")]),
      [
        { self: "<cycle>" },
        { a: "<unreadable>" },
        "<unreadable>",
        "<3 bytes>",
        "<function>",
        "<symbol>",
        "1",
        redacted
      ]
    )
    assert.include(JSON.stringify(Redaction.json(deep)), "<deeper>")
    assert.isBelow(JSON.stringify(Redaction.json(Array.from({ length: 200_000 }, () => 1))).length, 300_000)
  })

  it.prop(
    "hides the value of a field with a secret's name, for every value",
    { value: Schema.String, before: Schema.String },
    ({ before, value }) => {
      // The random part tells the hidden value apart from the text around it.
      const secret = `${value}${randomUUID()}`
      const outputs = [
        JSON.stringify(Redaction.json({ before, client_secret: secret })),
        Redaction.form(new URLSearchParams({ before, client_secret: secret }).toString()),
        Redaction.url(
          `https://a.example/${encodeURIComponent(before.toWellFormed())}?client_secret=${
            encodeURIComponent(secret.toWellFormed())
          }`
        ),
        Redaction.text(JSON.stringify({ before, client_secret: secret }))
      ]
      assert.deepStrictEqual(outputs.map((output) => Redaction.survives(output, [secret.slice(-36)])), [
        undefined,
        undefined,
        undefined,
        undefined
      ])
    }
  )

  it.prop("accepts any text, and finds nothing more in its own output", { given: Schema.String }, ({ given }) => {
    for (const redact of [Redaction.text, Redaction.form, Redaction.url] as const) {
      const once = redact(given)
      assert.strictEqual(redact(once), once)
    }
    Redaction.headers({ [given]: given })
    Redaction.survives(given, [given, given.slice(1)])
  })

  it.prop("accepts any JSON", { given: Schema.Json }, ({ given }) => {
    const once = Redaction.json(given)
    assert.deepStrictEqual(Redaction.json(once), once)
  })

  it.prop("finds a known secret in any surrounding text", {
    before: Schema.String,
    after: Schema.String
  }, ({ after, before }) => {
    const secret = randomUUID()
    const outputs = [
      `${before}${secret}${after}`,
      JSON.stringify({ [before]: secret }),
      Buffer.from(`${before}${secret}${after}`).toString("base64"),
      Buffer.from(`${before}${secret}${after}`).toString("hex"),
      encodeURIComponent(`${before.toWellFormed()}${secret}`)
    ]
    for (const output of outputs) assert.isDefined(Redaction.survives(output, [secret]), output)
    assert.isUndefined(Redaction.survives(`${before}${after}`, [secret]))
  })

  /** Each would take far longer if a search backtracked over text it has read. */
  it.each([
    "a",
    "a1",
    "A1 ",
    "0",
    "4 ",
    "-",
    "=",
    "a=",
    "a:",
    "a: \"",
    "\\",
    "\\\"",
    "\"\\\"",
    "password=",
    "password: \"",
    "eyJ",
    "eyJaaaaaa.",
    "sk_live_",
    "bearer ",
    "://",
    "a://",
    "a:b@",
    "u:",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "%41",
    "%25",
    "&#65;",
    "&amp;",
    "\\u0041",
    "DE00",
    "[",
    "<",
    "aB3_"
  ])("takes time in proportion to a text of many %j", (part) => {
    const text = part.repeat(Math.ceil(100_000 / part.length))
    Redaction.text(text)
    Redaction.url(text)
    Redaction.form(text)
    Redaction.headers({ location: text, link: text, server: text })
    Redaction.survives(text, [randomUUID()])
  })
})
