/** Errors at the start with an invalid setting: a secret in the wrong place, or an unusable one. */
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials, fromSource } from "@breakwater/core/credentials/Credential"
import * as RefreshingCredentials from "@breakwater/core/credentials/RefreshingCredentials"
import type { Source } from "@breakwater/core/credentials/Source"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { ConfigProvider, Effect, Exit, Layer, Redacted } from "effect"
import { inspect } from "node:util"
import * as MemoryTracer from "../watches/MemoryTracer.ts"
import * as Echo from "./Echo.ts"
import { plain, random, Search } from "./Marks.ts"
import { renderings } from "./Renderings.ts"
import { captured, declaration } from "./Wire.ts"

/** Base URLs that no vendor starts with. */
const baseUrls = (secret: string): ReadonlyArray<string> => [
  `https://user:${secret}@api.acme.example`,
  `https://${secret}@api.acme.example`,
  `http://user:${secret}@127.0.0.1:9`,
  `http://user:${secret}@api.acme.example`,
  `https://user:${secret}@api acme example`,
  `ftp://api.acme.example/${secret}`,
  secret
]

/** Proxies whose URL has a password: an invalid one, an unreachable one, and one that repeats the password. */
const proxies = (secret: string, echo: Echo.Echo): ReadonlyArray<string> => [
  `http://user:${secret}@127.0.0.1:${echo.port}/path`,
  `ftp://user:${secret}@127.0.0.1`,
  `not a proxy ${secret}`,
  `http://user:${secret}@127.0.0.1:9`,
  `http://user:${secret}@127.0.0.1:${echo.port}`,
  `http://${secret}@127.0.0.1:${echo.port}`
]

/** All leaks. */
export const start: Effect.Effect<ReadonlyArray<string>> = Effect.gen(function*() {
  const secret = plain()
  const search = new Search([secret])
  const logs = captured()
  const tracer = MemoryTracer.make()
  const look = (where: string, exit: Exit.Exit<unknown, unknown>, isExpected: boolean) => {
    for (const [how, text] of renderings(exit)) search.in(`${where}, ${how}`, text)
    if (!isExpected) search.found.push(`${where}: not what was expected`)
    return Exit.isFailure(exit) ? Effect.logError(exit.cause) : Effect.void
  }
  yield* Effect.gen(function*() {
    const echo = yield* Echo.serve
    for (const baseUrl of baseUrls(secret)) {
      const settings = ConfigProvider.fromUnknown({ ACME_BASE_URL: baseUrl, ACME_API_KEY: secret })
      const exit = yield* Effect.exit(
        Vendor.make(declaration(echo.baseUrl, { _tag: "Bearer" })).pipe(Effect.provide(ConfigProvider.layer(settings)))
      )
      yield* look(`the base URL ${baseUrl.replace(secret, "…")}`, exit, Exit.isFailure(exit))
    }
    const declared = yield* Effect.exit(
      Vendor.make(declaration(`https://user:${secret}@api.acme.example`, { _tag: "Bearer" })).pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ACME_API_KEY: secret })))
      )
    )
    yield* look("the declared base URL", declared, Exit.isFailure(declared))
    // A key with a line break, as files have them, and one that a header cannot hold.
    for (const key of [`${secret}\n${secret}`, `\u0000${secret}`, `${secret}é€`]) {
      const exit = yield* Effect.gen(function*() {
        const client = yield* Vendor.make(declaration(echo.baseUrl, { _tag: "Header", name: "X-Acme" }))
        return yield* client.careless({ params: { id: "1" } })
      }).pipe(
        Effect.withSpan("caller"),
        Effect.exit,
        Effect.provideService(Credentials, { read: () => Effect.succeed(Redacted.make(key)) })
      )
      yield* look("a key that cannot be sent", exit, Exit.isFailure(exit))
    }
    // A key in quotes, which is warned about.
    yield* Effect.scoped(Vendor.make(declaration(echo.baseUrl, { _tag: "Bearer" }))).pipe(
      Effect.provideService(Credentials, { read: () => Effect.succeed(Redacted.make(`"${secret}"`)) })
    )
    // A source that dies of what it has read.
    const dying: Source = {
      name: "dying",
      fetch: () => Effect.die(new SyntaxError(`Unexpected token in "${secret}"`, { cause: secret }))
    }
    for (const credentials of [fromSource(dying), yield* RefreshingCredentials.make(dying)]) {
      const exit = yield* Effect.exit(credentials.read({ vendor: "acme", key: "" }))
      yield* look("a source that dies", exit, Exit.isFailure(exit))
    }
    for (const proxy of proxies(secret, echo)) {
      echo.behave((heard) => Echo.answer(407, { "proxy-authenticate": "Basic" }, JSON.stringify(heard)))
      const through = yield* Effect.gen(function*() {
        const client = yield* Vendor.make({
          ...declaration("https://api.acme.example", { _tag: "Bearer" }),
          policy: { retry: false, breaker: false }
        })
        return yield* client.careless({ params: { id: "1" } })
      }).pipe(
        Effect.provide(
          UndiciTransport.layer().pipe(
            Layer.provideMerge(
              ConfigProvider.layer(ConfigProvider.fromUnknown({ https_proxy: proxy, ACME_API_KEY: secret }))
            )
          )
        ),
        Effect.exit
      )
      yield* look(`the proxy ${proxy.replace(secret, "…")}`, through, Exit.isFailure(through))
    }
    if (!echo.heard().includes(Buffer.from(`user:${secret}`).toString("base64"))) {
      search.found.push("no proxy was asked")
    }
    const given = Effect.provideService(Credentials, { read: () => Effect.succeed(Redacted.make(secret)) })
    // A `classify` that throws what it has read. Its own message is its own; the span's words about it are ours.
    const token = `sk_live_${random(18, "lower")}`
    const throwing = yield* Vendor.make({
      ...declaration(echo.baseUrl, { _tag: "Bearer" }),
      classify: (answer) => {
        throw new Error(`no answer: Bearer ${secret}, ${JSON.stringify(answer.json)}`, { cause: secret })
      }
    }).pipe(given)
    echo.behave(() => Echo.answer(200, {}, JSON.stringify({ password: secret, token })))
    yield* throwing.careless({ params: { id: "1" } }).pipe(Effect.exit, Effect.provide(tracer.layer), given)
    for (const { attributes, events, status } of tracer.spans) {
      search.in(
        "a span that ends with a defect",
        inspect({ attributes, events, status }, { depth: 20, showHidden: true })
      )
    }
    if (tracer.spans.length < 2) search.found.push("nothing was traced")
    // The reader of a secret fails, and its error has the secret.
    const broken = yield* Effect.gen(function*() {
      const client = yield* Vendor.make(declaration(echo.baseUrl, { _tag: "Bearer" }))
      return yield* client.careless({ params: { id: "1" } })
    }).pipe(
      Effect.exit,
      Effect.provideService(Credentials, { read: () => Effect.succeed(secret as unknown as Redacted.Redacted) })
    )
    yield* look("a secret that is not Redacted", broken, Exit.isFailure(broken))
  }).pipe(
    Effect.provide([UndiciTransport.layer({ loopback: true }), logs.layer]),
    logs.provide,
    Effect.scoped,
    Effect.orDie
  )
  search.in("the logs", logs.text())
  return [...new Set(search.found)]
})
