/** Recordings of calls to the vendor that repeats everything: written without a secret, or not at all. */
import * as Vendor from "@breakwater/core/client/Vendor"
import { Credentials } from "@breakwater/core/credentials/Credential"
import * as Recorder from "@breakwater/core/testing/Recorder"
import * as Transport from "@breakwater/core/transport/Transport"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { Effect, Exit, Redacted } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Echo from "./Echo.ts"
import { plain, random, Search } from "./Marks.ts"
import { renderings } from "./Renderings.ts"
import { auths, calls, declaration, plant } from "./Wire.ts"

const honest: Echo.Manner = ({ body }) =>
  Echo.answer(
    200,
    { "set-cookie": "sid=0123456789; Secure", "x-acme-key": "0123456789" },
    JSON.stringify({
      id: "i",
      price: body.length
    })
  )

/** A vendor that issues a secret, first in its proper place and later in a sentence. */
const giving = (token: string): Echo.Manner => {
  let answers = 0
  return () =>
    Echo.answer(200, {}, JSON.stringify(answers++ === 0 ? { access_token: token } : { note: `it was ${token}` }))
}

/** Responses that repeat exactly one sent or read secret, too short to be a piece of a longer one. */
const repeated = (credential: string) => {
  const short = () => plain().slice(0, 12)
  const told = (headers: (secret: string) => ReadonlyArray<string>, secret = short()) => ({
    headers: headers(secret),
    answer: `it was ${secret}`
  })
  const basic = (pair: string) => ["authorization", `Basic ${Buffer.from(pair).toString("base64")}`]
  return {
    "a bearer token": told((secret) => ["authorization", `Bearer ${secret}`]),
    "a cookie": told((secret) => ["cookie", `a=1; b=${secret}; c=2`]),
    "a basic password": told((secret) => basic(`user:${secret}`)),
    "a basic user without a password": told((secret) => basic(`${secret}:`)),
    "a proxy's credential": told((secret) => ["proxy-authorization", `Custom ${secret}`]),
    "a header of the vendor's own": told((secret) => ["x-acme-key", secret]),
    "a credential that was read": told(() => [], credential)
  }
}

/** Reads the credential, and asks with headers of one's own. */
const ask = (origin: string, headers: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const transport = yield* Transport.Transport
    const { read } = yield* Credentials
    yield* Effect.ignore(read({ vendor: "acme", key: "" }))
    yield* Effect.callback<void>((resume) =>
      void transport.send(
        {
          method: "GET",
          origin,
          path: "/",
          headers,
          body: undefined,
          connectTimeoutMillis: 1_000,
          maxBodyBytes: 10_000,
          maxRedirects: 0
        },
        {
          onSent() {},
          onHeaders() {},
          onProgress() {},
          onEnd: () => resume(Effect.void),
          onError: (reason) => resume(Effect.die(reason))
        }
      )
    )
  })

/** All leaks. */
export const recordings: Effect.Effect<ReadonlyArray<string>> = Effect.gen(function*() {
  const planted = plant()
  const { nested: _nested, note: _note, path: _path, ...secrets } = planted
  const search = new Search(Object.values(secrets))
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "breakwater-leaks-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
  const echo = yield* Echo.serve
  const file = join(folder, "recording.json")
  const credentials: Credentials = { read: () => Effect.succeed(Redacted.make(planted.credential)) }

  /** Records the calls of one client, and searches the file. */
  const record = (
    where: string,
    manner: Echo.Manner,
    auth: ReturnType<typeof auths>[number],
    names: ReadonlyArray<string>
  ) =>
    Effect.gen(function*() {
      echo.behave(manner)
      const exit = yield* Effect.gen(function*() {
        const client = yield* Vendor.make(declaration(echo.baseUrl, auth))
        const made: Record<string, Effect.Effect<unknown, unknown>> = calls(client, planted)
        for (const name of names) yield* Effect.exit(made[name]!)
      }).pipe(
        Recorder.record({ file }),
        Effect.provideService(Credentials, credentials),
        Effect.exit
      )
      for (const [how, text] of renderings(exit)) search.in(`${where}, ${how}`, text)
      const files = readdirSync(folder)
      if (Exit.isFailure(exit) && files.length > 0) search.found.push(`${where}: refused, and ${files.join()} is there`)
      for (const name of files) {
        search.in(`${where}, on disk`, readFileSync(join(folder, name), "utf8"))
        rmSync(join(folder, name))
      }
      return exit
    })

  yield* Effect.gen(function*() {
    for (const auth of auths(planted)) {
      const kept = yield* record(`an honest vendor, ${auth._tag}`, honest, auth, ["find", "login", "rotate"])
      // A recording with a secret that redaction missed is not written, so without redaction nothing would be.
      if (Exit.isFailure(kept)) search.found.push(`an honest vendor is refused: ${String(kept.cause)}`)
      for (const [name, manner] of Object.entries(Echo.manners)) {
        for (const call of auth._tag === "Bearer" ? ["find", "login", "rotate"] : ["find"]) {
          yield* record(`${call} with ${auth._tag}, answered with ${name}`, manner, auth, [call])
        }
      }
    }
    for (const [what, { answer, headers }] of Object.entries(repeated(planted.credential))) {
      echo.behave(() => Echo.answer(200, { "content-type": "text/plain" }, answer))
      const exit = yield* ask(echo.baseUrl, headers).pipe(
        Recorder.record({ file }),
        Effect.provideService(Credentials, credentials),
        Effect.exit
      )
      if (Exit.isSuccess(exit)) search.found.push(`${what} is repeated in a recording`)
    }
    const shown = `sk_live_${random(18, "lower")}`
    echo.behave(() => Echo.answer(200, { "content-type": "text/plain" }, `it is ${shown}`))
    yield* ask(echo.baseUrl, []).pipe(Recorder.record({ file }))
    if (readFileSync(file, "utf8").includes(shown)) search.found.push("a text is as it was")
    rmSync(file)
    const token = plant().key
    const given = yield* record("a token that is repeated", giving(token), { _tag: "Bearer" }, ["find", "find"])
    if (Exit.isSuccess(given)) search.found.push("a token that was given out is repeated in a recording")
  }).pipe(Effect.provide(UndiciTransport.layer({ loopback: true })))
  return [...new Set(search.found)]
}).pipe(Effect.scoped, Effect.orDie)
