import * as Vendor from "@breakwater/core/client/Vendor"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { isVendorError, type Reason } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Effect, Exit, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { brotliCompressSync, gzipSync } from "node:zlib"
import { intBetween } from "../../drivers/IntBetween.ts"
import { type Behaviour, listen } from "../../fakes/HostileServer.ts"
import * as Effort from "../../setup/Effort.ts"
import { clockStops, counted, held, noMoreThan } from "../../watches/Held.ts"
import { heldBytes } from "../../watches/Memory.ts"
import { within } from "../../watches/Within.ts"
import { answering, named } from "./hostile/Row.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("find", "/item", { success: Schema.Struct({ name: Schema.String }) })
  )
)

/** The time limit of a call, and an allowance for a busy machine. */
const limitMillis = 60
const slackMillis = 3_000

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1")

const json = "{\"name\":\"anvil\"}"
const packed = latin1(gzipSync(json))
const bomb = latin1(gzipSync(Buffer.alloc(1_000_000)))

const lines = [
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/1.0 200 OK\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\n",
  "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n",
  "HTTP/1.1 204 No Content\r\n",
  "HTTP/1.1 302 Found\r\n",
  "HTTP/1.1 307 Temporary Redirect\r\n",
  "HTTP/1.1 401 Unauthorized\r\n",
  "HTTP/1.1 429 Too Many Requests\r\n",
  "HTTP/1.1 503 Service Unavailable\r\n",
  "HTTP/1.1 999 \r\n",
  "HTTP/2.0 200\r\n"
] as const

const headers = [
  "content-length: 16\r\n",
  "content-length: 16\r\n",
  "content-length: 0\r\n",
  "content-length: 999999\r\n",
  "content-length: 99999999999999999999\r\n",
  "Content-Length:-1\r\n",
  "transfer-encoding: chunked\r\n",
  "transfer-encoding: chunked\r\n",
  "transfer-encoding: gzip, chunked\r\n",
  "content-encoding: gzip\r\n",
  "content-encoding: br, gzip\r\n",
  `content-length: ${packed.length}\r\n`,
  `content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n`,
  "connection: close\r\n",
  "connection: upgrade\r\nupgrade: tea\r\n",
  "keep-alive: timeout=0\r\n",
  "location: /item\r\n",
  "location: https://169.254.169.254/\r\n",
  "location: //\r\n",
  "retry-after: 1e309\r\n",
  "ratelimit: \"a\";r=-1;t=99999999999999999999\r\n",
  "date: Thu, 99 Foo 2026 99:99:99 GMT\r\n",
  "set-cookie: a=b\r\n",
  "__proto__: x\r\n",
  "a: b\r\n".repeat(300),
  `a: ${"x".repeat(20_000)}\r\n`
] as const

const bodies = [
  json,
  json,
  packed,
  bomb,
  latin1(brotliCompressSync(json)),
  `10\r\n${json}\r\n`,
  "0\r\n\r\n",
  "0\r\nx-behind: it\r\n\r\n",
  "fffffffffffffffff\r\n",
  ";a=b",
  "[".repeat(5_000),
  "x".repeat(70_000),
  "\r\n",
  "\n",
  "\r",
  "\0",
  ":",
  " "
] as const

const Garbage = Schema.Union([
  Schema.Array(intBetween(0, 255)).check(Schema.isMaxLength(40)),
  Schema.String
])
const Line = Schema.Literals(lines)
const Header = Schema.Literals(headers)
const Body = Schema.Union([Schema.Literals(bodies), Garbage])
const Piece = Schema.Union([Line, Header, Body])

const bytesOf = (piece: typeof Piece.Type): string => typeof piece === "string" ? piece : latin1(Uint8Array.from(piece))

/** Damages a good response: replaces some bytes from an offset on. */
const Damage = Schema.Struct({ at: intBetween(0, 90), length: intBetween(0, 4), by: Garbage })

const good = [
  named("anvil"),
  `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n${json}\r\n0\r\n\r\n`,
  `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n${packed}`
] as const

const Answer = Schema.Union([
  Schema.Struct({
    line: Line,
    headers: Schema.Array(Header).check(Schema.isMaxLength(4)),
    body: Schema.Array(Body).check(Schema.isMaxLength(4))
  }),
  Schema.Struct({ good: Schema.Literals(good), damages: Schema.Array(Damage).check(Schema.isMaxLength(3)) }),
  Schema.Array(Piece).check(Schema.isMaxLength(12))
])

const answerOf = (answer: typeof Answer.Type): string => {
  if ("good" in answer) {
    return answer.damages.reduce<string>(
      (bytes, { at, by, length }) => bytes.slice(0, at) + bytesOf(by) + bytes.slice(at + length),
      answer.good
    )
  }
  return "line" in answer
    ? [answer.line, ...answer.headers, "\r\n", ...answer.body.map(bytesOf)].join("")
    : answer.map(bytesOf).join("")
}

const Scene = Schema.Struct({
  answer: Answer,
  /** The number of writes for the response. */
  writes: intBetween(1, 4),
  /** The server's behaviour after the response. */
  afterwards: Schema.Literals(["end", "end", "reset", "stay"])
})

const playing = ({ answer, afterwards, writes }: typeof Scene.Type): Behaviour => {
  const bytes = answerOf(answer)
  const step = Math.max(1, Math.ceil(bytes.length / writes))
  return {
    onRequest: (connection) => {
      for (let at = 0; at < bytes.length; at += step) connection.write(bytes.slice(at, at + step))
      if (afterwards === "end") connection.end()
      if (afterwards === "reset") connection.reset()
    }
  }
}

const reasons: ReadonlySet<Reason["_tag"]> = new Set([
  "ConnectFailed",
  "ConnectionLost",
  "InvalidResponse",
  "RateLimited",
  "RequestRejected",
  "ResponseTooLarge",
  "Timeout",
  "Unauthorized",
  "Unavailable"
])

const clientOf = (name: string, baseUrl: string, timeoutMillis: number) =>
  Vendor.make({
    name,
    api: Api,
    baseUrl: "https://acme.example",
    redirects: 2,
    policy: {
      deadline: "5 seconds",
      attemptTimeout: timeoutMillis,
      connectTimeout: timeoutMillis,
      maxResponseSize: 64 * 1024,
      retry: false
    }
  }).pipe(Effect.provide(
    ConfigProvider.layer(ConfigProvider.fromUnknown({ [`${name.toUpperCase()}_BASE_URL`]: baseUrl }))
  ))

/** The outcomes of calls, to check that the property covers more than one. */
const ends = new Map<string, number>()

let memoryBefore: number | undefined

describe("for any bytes in a response", () => {
  it.live.prop(
    "the call has a typed end in time, a later call elsewhere is not disturbed, and nothing leaks",
    { scene: Scene },
    ({ scene }) =>
      counted(Effect.gen(function*() {
        const before = yield* held
        memoryBefore ??= yield* heldBytes
        yield* Effect.gen(function*() {
          const hostile = yield* listen(playing(scene))
          const healthy = yield* listen(answering(named("healthy")))
          const call = (yield* clientOf("hostile", hostile.origin, limitMillis)).find()
          const next = (yield* clientOf("healthy", healthy.origin, 5_000)).find()
          const exit = yield* within(limitMillis + slackMillis)(Effect.exit(call))
          const end = endOf(exit)
          ends.set(end, (ends.get(end) ?? 0) + 1)
          assert.deepStrictEqual(yield* next, { name: "healthy" })
        }).pipe(Effect.provide(UndiciTransport.layer({ loopback: true, proxy: false })), Effect.scoped)
        yield* noMoreThan(before)
      })),
    { arbitrary: { runs: Effort.runs(300) } }
  )

  it.live("no memory leaks", () =>
    Effect.map(heldBytes, (bytes) => {
      assert.isBelow(bytes - memoryBefore!, 16 * 1024 * 1024)
    }))

  it.live("no timer of undici's leaks", () => clockStops)

  it("some calls succeed, and others fail in more than one way", () => {
    for (const end of ["an answer", "ConnectionLost", "InvalidResponse", "Timeout"]) {
      assert.isAtLeast(ends.get(end) ?? 0, 1, `${end}, of ${JSON.stringify(Array.from(ends))}`)
    }
  })
})

const endOf = (exit: Exit.Exit<{ readonly name: string }, unknown>): string => {
  if (Exit.isSuccess(exit)) return "an answer"
  const [reason] = exit.cause.reasons
  if (exit.cause.reasons.length !== 1 || reason?._tag !== "Fail" || !isVendorError(reason.error)) {
    return assert.fail(Cause.pretty(exit.cause))
  }
  const { _tag } = reason.error.reason
  assert.isTrue(reasons.has(_tag), _tag)
  return _tag
}
