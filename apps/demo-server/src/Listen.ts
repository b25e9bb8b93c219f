/**
 * Addresses of the server and of its control API, and the longest waits for a slow or idle client. A body has its own limits
 * in `RequestBody`.
 */
import { AddressGuard } from "@breakwater/core/transport"
// The index of the package loads a Redis client of 650 modules: half of the start.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { HttpServer } from "effect/http"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer, type Server } from "node:http"
import { span } from "./DurationConfig.ts"
import * as UnreadableRequest from "./UnreadableRequest.ts"

/** A port; 0 takes any free one. */
const Port = Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 65_535 }))

const Host = Schema.String.check(
  Schema.isPattern(/^[\w.:-]{1,253}$/, { message: "it must be an address or a name of this machine" })
)

/** The loopback address, where the control API always listens. */
export const loopback = Config.succeed("127.0.0.1")

/** The address to listen on, from `HOST`. @default 127.0.0.1, for this machine only */
export const host = Config.withDefault(Config.schema(Host, "HOST"), "127.0.0.1")

/** Whether only this machine reaches an address. */
export const isLocal = AddressGuard.isHere

/**
 * How long an idle connection stays open, from `KEEP_ALIVE`. It must be longer than that of a balancer in front of the
 * server: the balancer could otherwise send a request into a connection that is about to close. @default 65 seconds
 */
const keepAlive = span("KEEP_ALIVE", Duration.seconds(65))

/** Node reads 0 as "for ever", and a day is longer than any balancer waits. */
const keptAlive = Duration.clamp({ minimum: Duration.millis(1), maximum: Duration.days(1) })

/** Longest wait for all headers of a request. */
const longestHeaders = Duration.seconds(10)
/** Longest wait for a whole request, when nothing reads its body. A body that is read has 10 seconds of its own. */
const longestRequest = Duration.seconds(21)

/** Listens on the port in an environment variable. */
export const layer = (variable: string, fallback: number, host: Config.Config<string>) =>
  Layer.unwrap(Effect.map(
    Config.all({ port: Config.withDefault(Config.schema(Port, variable), fallback), host, keepAlive }),
    ({ host, keepAlive, port }) => NodeHttpServer.layer(() => makeServer(keptAlive(keepAlive)), { port, host })
  ))

/** A server that also closes connections that become idle after it stops listening. Node closes only those idle by then. */
const makeServer = (keepAlive: Duration.Duration): Server => {
  const server = createServer({
    keepAliveTimeout: Duration.toMillis(keepAlive),
    headersTimeout: Duration.toMillis(longestHeaders),
    requestTimeout: Duration.toMillis(longestRequest),
    connectionsCheckingInterval: 500
  })
  server.on("request", (_request, response) => {
    response.once("finish", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })
  UnreadableRequest.answer(server)
  return server
}

/** Logs an address that can be opened: an unspecified address, or that of `localhost`, is written as `localhost`. */
export const logAddress = (host: Config.Config<string>) =>
  Layer.effectDiscard(
    Effect.flatMap(
      Effect.all([host, HttpServer.HttpServer]),
      ([host, { address }]) =>
        address._tag === "UnixPathAddress" ? Effect.void : Effect.log(`Listening on ${urlOf(host, address.port)}`)
    )
  )

/** The URL of a server that listens on a host. */
const urlOf = (host: string, port: number): string =>
  `http://${
    /^(?:0\.0\.0\.0|::|127\.0\.0\.1|::1)$/.test(host) ? "localhost" : host.includes(":") ? `[${host}]` : host
  }:${port}`
