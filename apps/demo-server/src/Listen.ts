/** Where the server and its control listen. */
import { NodeHttpServer } from "@effect/platform-node"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createServer, type Server } from "node:http"

/** 0 is any free port. */
const Port = Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum: 0, maximum: 65_535 }))

/** Listens at the port the environment names. */
export const layer = (variable: string, fallback: number, host?: string) =>
  Layer.unwrap(Effect.map(
    Config.withDefault(Config.schema(Port, variable), fallback),
    (port) => NodeHttpServer.layer(makeServer, host === undefined ? { port } : { port, host })
  ))

/** Node closes the connections that are idle when it stops listening; this one also those that become idle later. */
const makeServer = (): Server => {
  const server = createServer()
  server.on("request", (_request, response) => {
    response.once("finish", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })
  return server
}
