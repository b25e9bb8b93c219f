/** Targets of requests that are no URL: `GET //` ended the simulator's process (punkpeye/mcp-proxy#66). */
import * as Simulator from "@breakwater/core/simulator/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { connect } from "node:net"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("orders").add(HttpApiEndpoint.get("get", "/orders"))
)
const handlers = HttpApiBuilder.group(Api, "orders", (group) => group.handle("get", () => Effect.void))

/** The status line of the response to a request with this target. */
const ask = (port: number, target: string) =>
  Effect.callback<string>((resume) => {
    let text = ""
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(`GET ${target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`)
    })
    socket.on("data", (chunk) => text += chunk.toString()).on(
      "close",
      () => resume(Effect.succeed(text.split("\r")[0]!))
    )
  })

describe("a simulator that is asked for", () => {
  it.live.each(["//", "///x", "http://[", "//[/orders", "/%E0%A4%A", "*", "?x=1", "/nothing"])(
    "%s answers that it has no such thing, and lives on",
    (target) =>
      Effect.gen(function*() {
        const simulator = yield* Simulator.serve({
          vendor: "acme",
          api: Api,
          handlers,
          front: (_, next) => next.pipe(Effect.catch((unserved) => Effect.succeed(Simulator.json(404, unserved))))
        })
        const port = Number(new URL(simulator.baseUrl).port)
        assert.match(yield* ask(port, target), /^HTTP\/1\.1 4\d\d /)
        assert.strictEqual(yield* ask(port, "/orders"), "HTTP/1.1 204 No Content")
      })
  )
})
