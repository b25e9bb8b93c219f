/**
 * A real HTTP server on a loopback port that can misbehave on the wire. It handles bytes and sockets; its handler
 * decides the responses.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import * as Charset from "../../transport/Charset.ts"
import * as Json from "../../transport/Json.ts"
import type { Faults } from "./Fault.ts"
import type { Journal } from "./Journal.ts"

/** A request as received. */
export interface WireRequest {
  readonly method: string
  /** The path without its query. */
  readonly path: string
  /** The query with its question mark, or `""`. */
  readonly search: string
  /** Headers, with names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
}

/** A response to write. */
export interface WireResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export interface SimulatorServerOptions {
  /** The port to listen at; 0 for a free one. */
  readonly port: number
  readonly faults: Faults
  readonly journal: Journal
  /** The operation of a request. */
  readonly operationOf: (request: WireRequest) => string | undefined
  /** Responds to a request; the endpoint acts this many milliseconds after the request. */
  readonly handle: (request: WireRequest, delayMillis: number) => Effect.Effect<WireResponse>
  /** The vendor's response once its rate limit is reached. */
  readonly limited: WireResponse
}

export interface SimulatorServer {
  readonly port: number
  /** Starts and stops listening, at the same port. */
  readonly listen: Effect.Effect<void>
  readonly refuse: Effect.Effect<void>
}

/** The largest request body, in bytes. */
const maxRequestBytes = 4 * 1024 * 1024
const endlessChunk = Buffer.alloc(1024, " ")

/** Serves until its scope ends. */
export const serve = (options: SimulatorServerOptions): Effect.Effect<SimulatorServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const context = yield* Effect.context<never>()
    const sockets = new Set<Socket>()
    const server = createServer((request, response) => {
      const answering = answer(options, request, response).pipe(
        // After a defect here, nothing else ends the request.
        Effect.catchCause((cause) =>
          Effect.andThen(Effect.logDebug("a simulator died", cause), Effect.sync(() => reset(response)))
        )
      )
      // A caller that goes away stops nothing: a vendor acts on the request it has received.
      Fiber.runIn(Effect.runForkWith(context)(answering), scope)
    })
    server.on("connection", (socket) => {
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    })
    const close = Effect.callback<void>((resume) => {
      if (!server.listening) return resume(Effect.void)
      server.close(() => resume(Effect.void))
      for (const socket of sockets) socket.destroy()
    })
    yield* Effect.acquireRelease(listen(server, options.port), () => close)
    const { port } = server.address() as AddressInfo
    return {
      port,
      listen: Effect.suspend(() => server.listening ? Effect.void : listen(server, port)),
      refuse: close
    }
  })

const listen = (server: Server, port: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const failed = (error: Error) => resume(Effect.die(error))
    server.once("error", failed)
    server.listen(port, "127.0.0.1", () => {
      server.off("error", failed)
      resume(Effect.void)
    })
  })

const answer = Effect.fnUntraced(
  function*(options: SimulatorServerOptions, incoming: IncomingMessage, outgoing: ServerResponse) {
    const request = yield* read(incoming)
    if (request === "TooLarge") return yield* write(outgoing, { status: 413, headers: {}, body: new Uint8Array() })
    const now = yield* Clock.currentTimeMillis
    const operation = options.operationOf(request)
    const entry = {
      at: new Date(now).toISOString(),
      method: request.method,
      path: request.path,
      operation,
      status: null
    }
    options.journal.add(entry)
    const reply = (response: WireResponse) => {
      Object.assign(entry, { status: response.status })
      return write(outgoing, response)
    }
    const fault = options.faults.meet(operation, now)
    switch (fault?.kind) {
      case undefined:
      // The listener is closed; a request that was already under way is served.
      case "refuse":
        return yield* reply(yield* options.handle(request, 0))
      case "latency":
        return yield* reply(yield* options.handle(request, fault.millis))
      case "resetBefore":
        return reset(outgoing)
      case "resetAfter":
        yield* options.handle(request, 0)
        return reset(outgoing)
      case "halfBody": {
        const response = yield* options.handle(request, 0)
        const { body, status } = response
        Object.assign(entry, { status })
        outgoing.writeHead(status, withLength(response))
        yield* writeChunk(outgoing, body.subarray(0, Math.ceil(body.byteLength / 2)))
        return reset(outgoing)
      }
      case "drip": {
        const response = yield* options.handle(request, 0)
        const { body, status } = response
        Object.assign(entry, { status })
        outgoing.writeHead(status, withLength(response))
        const pause = Math.max(1, 1_000 / fault.bytesPerSecond)
        const slice = Math.max(1, Math.round(fault.bytesPerSecond * pause / 1_000))
        for (let at = 0; at < body.byteLength && !outgoing.destroyed; at += slice) {
          yield* Effect.sleep(pause)
          yield* writeChunk(outgoing, body.subarray(at, at + slice))
        }
        outgoing.end()
        return
      }
      case "endless": {
        const { headers, status } = yield* options.handle(request, 0)
        Object.assign(entry, { status })
        const { "content-length": _, ...others } = headers
        outgoing.writeHead(status, others)
        while (!outgoing.destroyed) {
          yield* writeChunk(outgoing, endlessChunk)
          yield* Effect.sleep(1)
        }
        return
      }
      case "malformed": {
        const response = yield* options.handle(request, 0)
        const cut = response.body.subarray(0, Math.max(1, Math.floor(response.body.byteLength * 2 / 3)))
        return yield* reply({ ...response, body: cut.byteLength > 1 ? cut : Buffer.from("{") })
      }
      case "wrongType":
        return yield* reply({
          status: 200,
          headers: { "content-type": "text/html; charset=utf-8" },
          body: Buffer.from(
            "<!doctype html><html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>"
          )
        })
      case "drift": {
        const response = yield* options.handle(request, 0)
        const drifted = options.faults.drift(jsonOf(response.body))
        return yield* reply({ ...response, body: Buffer.from(JSON.stringify(drifted)) })
      }
      case "status":
        return yield* reply({
          status: fault.status,
          headers: { "content-type": "application/json", ...fault.headers },
          body: Buffer.from(fault.body ?? "")
        })
      case "rateLimit":
        return yield* reply({
          ...options.limited,
          headers: {
            ...options.limited.headers,
            ...(fault.retryAfterSeconds === undefined ? {} : { "retry-after": String(fault.retryAfterSeconds) })
          }
        })
    }
  }
)

const read = (incoming: IncomingMessage): Effect.Effect<WireRequest | "TooLarge"> =>
  Effect.callback((resume) => {
    const chunks: Array<Buffer> = []
    let size = 0
    incoming.on("data", (chunk: Buffer) => {
      size += chunk.byteLength
      if (size <= maxRequestBytes) chunks.push(chunk)
    })
    incoming.on("end", () => {
      if (size > maxRequestBytes) return resume(Effect.succeed("TooLarge"))
      // A target such as `//` is no URL of its own (RFC 9112, section 3.2.1).
      const [, path = "", search = ""] = /^([^?#]*)(\?[^#]*)?/.exec(incoming.url ?? "/")!
      resume(Effect.succeed({
        method: incoming.method ?? "GET",
        path: URL.parse(`http://127.0.0.1${path}`)?.pathname ?? path,
        search,
        headers: Object.fromEntries(
          Object.entries(incoming.headers).map((
            [name, value]
          ) => [name, Array.isArray(value) ? value.join(", ") : value ?? ""])
        ),
        body: new Uint8Array(Buffer.concat(chunks))
      }))
    })
    incoming.on("error", () => resume(Effect.interrupt))
  })

const write = (outgoing: ServerResponse, response: WireResponse): Effect.Effect<void> =>
  Effect.sync(() => {
    outgoing.writeHead(response.status, withLength(response))
    outgoing.end(response.body)
  })

/** The headers of a response with the length of its body, which a 204 must not have (RFC 9110, section 8.6). */
const withLength = ({ body, headers, status }: WireResponse): Record<string, string | number> =>
  status === 204 ? { ...headers } : { ...headers, "content-length": body.byteLength }

/** The value of a body: null for an empty one, and text for one that is not JSON. */
const jsonOf = (body: Uint8Array): unknown => {
  const json = body.byteLength === 0 ? null : Json.parse(body)
  return json === undefined ? Charset.text(body) ?? Charset.head(body, body.byteLength) : json
}

const writeChunk = (outgoing: ServerResponse, chunk: Uint8Array): Effect.Effect<void> =>
  Effect.callback((resume) => {
    outgoing.write(chunk, () => resume(Effect.void))
  })

const reset = (outgoing: ServerResponse): void => {
  outgoing.socket?.resetAndDestroy()
}
