/** Ports of the server and of its control API. */
// The index of the package loads a Redis client of 650 modules: half of the start.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer, type Server } from "node:http"

/** A port; 0 takes any free one. */
const Port = Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 65_535 }))

/** Listens on the port in an environment variable. */
export const layer = (variable: string, fallback: number, host?: string) =>
  Layer.unwrap(Effect.map(
    Config.withDefault(Config.schema(Port, variable), fallback),
    (port) => NodeHttpServer.layer(makeServer, host === undefined ? { port } : { port, host })
  ))

/** A server that also closes connections that become idle after it stops listening. Node closes only those idle by then. */
const makeServer = (): Server => {
  const server = createServer()
  server.on("request", (_request, response) => {
    response.once("finish", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })
  return server
}
