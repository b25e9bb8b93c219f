import { ConnectFailed, ConnectionLost, Timeout } from "@breakwater/core/VendorError"
import { Effect } from "effect"
import { closedPort } from "../../../fakes/HostileServer.ts"
import { fullBacklog } from "./FullBacklog.ts"
import { named, type Section } from "./Row.ts"

export const connecting: Section = {
  title: "Connecting",
  rows: [
    {
      does: "does not listen",
      at: Effect.map(closedPort, (port) => `http://127.0.0.1:${port}`),
      gets: new ConnectFailed("Refused"),
      connection: "none"
    },
    {
      does: "has an unknown name",
      at: Effect.succeed("https://breakwater-test.invalid"),
      gets: new ConnectFailed("Dns"),
      connection: "none"
    },
    {
      does: "is a black hole: its backlog is full, and the kernel drops new connections",
      at: Effect.map(fullBacklog, (port) => `http://127.0.0.1:${port}`),
      gets: new Timeout("Connect", 150),
      limit: ["connectTimeout", 150],
      connection: "none"
    },
    {
      does: "accepts and sends nothing",
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    },
    {
      does: "accepts and sends nothing, until the attempt times out",
      gets: new Timeout("Headers", 150),
      limit: ["attemptTimeout", 150],
      policy: { connectTimeout: 100 }
    },
    {
      does: "closes the connection as soon as it is open",
      server: { onConnection: (connection) => connection.end() },
      gets: new ConnectionLost("Headers")
    },
    {
      does: "closes the connection on the request",
      server: { onRequest: (connection) => connection.end() },
      gets: new ConnectionLost("Headers")
    },
    {
      does: "resets the connection on the request",
      server: { onRequest: (connection) => connection.reset() },
      gets: new ConnectionLost("Headers")
    },
    {
      does: "resets the connection on a write, which may have had its effect",
      call: "ship",
      server: { onRequest: (connection) => connection.reset() },
      gets: new ConnectionLost("Headers"),
      policy: { retry: { base: 0, retries: 3 } }
    },
    {
      does: "resets the connection once, on a read that may be repeated",
      server: {
        onRequest: (connection, index) => index === 0 ? connection.reset() : connection.write(named("second attempt"))
      },
      gets: { name: "second attempt" },
      requests: 2,
      connection: "kept",
      policy: { retry: { base: 0, retries: 1 } }
    }
  ]
}
