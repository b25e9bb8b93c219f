/** A vendor that repeats everything it receives, in every place that a response has. */
import { Effect, type Scope } from "effect"
import { createServer, type Socket } from "node:net"
import * as Loopback from "../fakes/Loopback.ts"

/** A request, as its bytes say. */
interface Heard {
  readonly method: string
  readonly target: string
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
}

/** An answer, byte by byte. */
export type Manner = (heard: Heard) => string

export interface Echo {
  readonly baseUrl: string
  readonly port: number
  /** All received data, decoded. */
  readonly heard: () => string
  /** Number of requests received. */
  readonly count: () => number
  /** Sets its responses from now on. */
  readonly behave: (manner: Manner) => void
}

export const serve: Effect.Effect<Echo, never, Scope.Scope> = Effect.gen(function*() {
  let manner: Manner = () => answer(200, {}, "{}")
  let heard = ""
  let count = 0
  const server = createServer((socket) => {
    socket.on("error", () => {})
    let received = ""
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1")
      for (let request = take(received); request !== undefined; request = take(received)) {
        received = request.rest
        count++
        heard += `${JSON.stringify(request.heard)}\n`
        write(socket, manner(request.heard))
      }
    })
  })
  const { port } = yield* Loopback.listen(server)
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    port,
    heard: () => heard,
    count: () => count,
    behave: (next) => {
      manner = next
    }
  }
})

const write = (socket: Socket, bytes: string): void => {
  socket.end(bytes, "latin1")
}

const take = (received: string): { readonly heard: Heard; readonly rest: string } | undefined => {
  const end = received.indexOf("\r\n\r\n")
  if (end < 0) return undefined
  const [first = "", ...lines] = received.slice(0, end).split("\r\n")
  const headers = lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)] as const)
  const length = Number(headers.find(([name]) => name.toLowerCase() === "content-length")?.[1] ?? 0)
  if (received.length < end + 4 + length) return undefined
  const [method = "", target = ""] = first.split(" ")
  return {
    heard: { method, target, headers, body: received.slice(end + 4, end + 4 + length) },
    rest: received.slice(end + 4 + length)
  }
}

/** A well-formed answer. */
export const answer = (
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  reason = "Word"
): string =>
  [
    `HTTP/1.1 ${status} ${reason}`,
    `content-length: ${Buffer.byteLength(body, "latin1")}`,
    "connection: close",
    ...Object.entries({ "content-type": "application/json", ...headers }).map(([name, value]) => `${name}: ${value}`),
    "",
    body
  ].join("\r\n")

/** The whole content of a request, on one line and in ASCII. */
const words = ({ body, headers, method, target }: Heard): string =>
  JSON.stringify({
    method,
    target: decodeURIComponent(target),
    headers,
    body: decodeURIComponent(body.replaceAll("+", " "))
  })
    .replaceAll(/[^\x20-\x7e]/g, "?")

/**
 * The words alone, each of which could be the name of something, but for those of nothing but letters: such a key is
 * taken for a name, and shown (docs/guides/secrets-stay-secret.md).
 */
const wordsOf = (heard: Heard): ReadonlyArray<string> => [
  ...new Set((words(heard).match(/[A-Za-z_$][\w-]{7,}/g) ?? []).filter((word) => /\d|_/.test(word))),
  ...words(heard).match(/m[0-9a-f]{22}/g) ?? []
]

/** Bodies that fit no contract: the words as values, as keys, as keys of a record. */
const values = (heard: Heard) => JSON.stringify({ id: words(heard), price: words(heard), message: words(heard) })
const keys = (heard: Heard) =>
  JSON.stringify({ id: "i", price: 1, stock: Object.fromEntries(wordsOf(heard).map((word) => [word, "none"])) })
const deepKeys = (heard: Heard) =>
  JSON.stringify(Object.fromEntries(wordsOf(heard).slice(-19).map((word) => [word, { [word]: 1 }])))

export const manners: Readonly<Record<string, Manner>> = {
  "a refusal of the credential": (heard) =>
    answer(401, { "www-authenticate": `Bearer error="${words(heard)}"` }, values(heard), words(heard)),
  "an outage": (heard) => answer(503, { "retry-after": words(heard) }, values(heard)),
  "a limit": (heard) => answer(429, { "x-ratelimit-reset": words(heard), ratelimit: words(heard) }, values(heard)),
  "a refusal of the request": (heard) => answer(400, {}, values(heard)),
  "values": (heard) => answer(200, {}, values(heard)),
  "keys": (heard) => answer(200, {}, deepKeys(heard)),
  "keys of a record": (heard) => answer(200, {}, keys(heard)),
  "text": (heard) => answer(200, {}, words(heard)),
  "a page": (heard) => answer(200, { "content-type": "text/html" }, `<html>${words(heard)}</html>`),
  "the type of the content": (heard) => answer(200, { "content-type": wordsOf(heard).at(-1)! }, "{"),
  "the main type": (heard) =>
    answer(200, { "content-type": `${/[a-z]{20}/.exec(words(heard))?.[0] ?? "none"}/json` }, "{"),
  "the media type": (heard) => answer(200, { "content-type": `text/${wordsOf(heard).at(-1)!}` }, "{"),
  "the values of headers": (heard) =>
    answer(
      200,
      { "set-cookie": words(heard), "x-request-id": words(heard), server: words(heard), etag: words(heard) },
      "{}"
    ),
  "the names of headers": (heard) => answer(200, Object.fromEntries(wordsOf(heard).map((word) => [word, "v"])), "{}"),
  "a redirect": (heard) => answer(302, { location: `https://evil.example/?${encodeURIComponent(words(heard))}` }, ""),
  "a redirect to user info": (heard) =>
    answer(307, { location: `https://${wordsOf(heard).at(-1)!}@evil.example/` }, ""),
  "a declared error": (heard) => answer(422, {}, JSON.stringify({ refused: words(heard) })),
  "an invalid status": (heard) => `HTTP/1.1 ${words(heard)}\r\n\r\n`,
  "an invalid header": (heard) => `HTTP/1.1 200 OK\r\n${words(heard)}\u0000\r\n\r\n`,
  "an invalid length": (heard) => `HTTP/1.1 200 OK\r\ncontent-length: ${words(heard)}\r\n\r\n${words(heard)}`,
  "an invalid chunk": (heard) => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${words(heard)}\r\n`,
  "half a body": (heard) => `HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n${words(heard)}`,
  "no HTTP at all": (heard) => `${words(heard)}\r\n\r\n`,
  "too large a head": (heard) => answer(200, { "x-large": words(heard).padEnd(40_000, "x") }, "{}")
}
