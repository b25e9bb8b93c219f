/**
 * A proxy on its own port that records the traffic unchanged. It stands between a client and a simulator unnoticed: it
 * forwards a response as it is, and a reset as a reset.
 */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, request as forward, type ServerResponse } from "node:http"
import * as Loopback from "../fakes/Loopback.ts"

interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

export interface Exchange {
  readonly method: string
  /** Without its query. */
  readonly path: string
  readonly query: URLSearchParams
  /** Names in lower case. */
  readonly headers: Headers
  readonly body: string
  /** `undefined` when the response was missing or incomplete. */
  answer: Answered | undefined
}

export interface Wiretap {
  /** The base URL for the client, instead of the simulator's. */
  readonly baseUrl: string
  /** In the order in which requests came. */
  readonly exchanges: ReadonlyArray<Exchange>
}

/** Listens between a client and a base URL until the scope ends. */
export const listen = (baseUrl: string): Effect.Effect<Wiretap, never, Scope.Scope> =>
  Effect.gen(function*() {
    const target = new URL(baseUrl)
    const exchanges: Array<Exchange> = []
    const server = createServer((incoming, outgoing) => pass(target, exchanges, incoming, outgoing))
    const { port } = yield* Loopback.listen(server)
    return { baseUrl: `http://127.0.0.1:${port}${target.pathname.replace(/\/$/, "")}`, exchanges }
  })

const pass = (
  target: URL,
  exchanges: Array<Exchange>,
  incoming: IncomingMessage,
  outgoing: ServerResponse
): void => {
  const reset = () => outgoing.socket?.resetAndDestroy()
  collect(incoming, (body) => {
    const url = new URL(incoming.url ?? "/", target)
    const exchange: Exchange = {
      method: incoming.method ?? "GET",
      path: url.pathname,
      query: url.searchParams,
      headers: new Headers(pairs(incoming.rawHeaders)),
      body: body.toString("utf8"),
      answer: undefined
    }
    exchanges.push(exchange)
    const onward = forward(
      {
        host: target.hostname,
        port: target.port,
        method: incoming.method,
        path: incoming.url,
        headers: incoming.rawHeaders,
        agent: false
      },
      (response) => {
        outgoing.writeHead(response.statusCode ?? 500, response.rawHeaders)
        response.on("data", (chunk: Buffer) => outgoing.write(chunk))
        response.on("error", reset)
        collect(response, (body) => {
          exchange.answer = {
            status: response.statusCode ?? 500,
            headers: new Headers(pairs(response.rawHeaders)),
            body: body.toString("utf8")
          }
          outgoing.end()
        })
      }
    )
    onward.on("error", reset)
    outgoing.on("close", () => onward.destroy())
    onward.end(body)
  })
}

const collect = (message: IncomingMessage, done: (body: Buffer) => void): void => {
  const chunks: Array<Buffer> = []
  message.on("data", (chunk: Buffer) => chunks.push(chunk))
  message.on("end", () => done(Buffer.concat(chunks)))
}

/** Names and values in turn as pairs. */
const pairs = (raw: ReadonlyArray<string>): Array<[name: string, value: string]> =>
  raw.flatMap((name, index): Array<[string, string]> => index % 2 === 0 ? [[name, raw[index + 1]!]] : [])
