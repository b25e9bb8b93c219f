import { ConnectFailed, ConnectionLost, InvalidResponse } from "@breakwater/core/VendorError"
import { answer, answering, named, type Section } from "./Row.ts"

/** Behaviours towards an idle connection, or towards its next request. */
export const reuse: Section = {
  title: "Reused connections",
  rows: [
    {
      does: "resets an idle connection at the moment of its reuse",
      whileIdle: (connection) => connection.reset(),
      gets: new ConnectFailed("Unreachable"),
      requests: 0
    },
    {
      does: "resets an idle connection at the moment of its reuse for a write, which is sent once",
      call: "ship",
      whileIdle: (connection) => connection.reset(),
      server: answering(named("written")),
      gets: { name: "written" },
      policy: { retry: { base: 0, retries: 1 } },
      connection: "none"
    },
    {
      does: "closes an idle connection at the moment of its reuse",
      whileIdle: (connection) => connection.end(),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "resets a connection on its second request, before any byte of a response",
      whileIdle: () => {},
      server: { onRequest: (connection) => connection.reset() },
      gets: new ConnectionLost("Headers")
    },
    {
      does: "resets a connection on its second request, a write",
      call: "ship",
      whileIdle: () => {},
      server: { onRequest: (connection) => connection.reset() },
      gets: new ConnectionLost("Headers"),
      policy: { retry: { base: 0, retries: 3 } }
    },
    {
      does: "sends a response over an idle connection, without a request",
      whileIdle: (connection) => connection.write(named("evil")),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "sends a timeout over an idle connection (408)",
      whileIdle: (connection) => connection.end(answer("", ["connection: close"], "408 Request Timeout")),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "sends garbage over an idle connection",
      whileIdle: (connection) => connection.write("garbage"),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "sends half a response over an idle connection",
      whileIdle: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n"),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "closes its half of the connection after a response, unannounced",
      server: { onRequest: (connection) => connection.end(named("anvil")) },
      gets: { name: "anvil" }
    },
    {
      does: "resets the connection after a response",
      server: {
        onRequest: (connection) => {
          connection.write(named("anvil"))
          connection.reset()
        }
      },
      gets: { name: "anvil" }
    },
    {
      does: "announces that it closes the connection, and leaves it open",
      server: answering(answer("{\"name\":\"anvil\"}", ["connection: close"])),
      gets: { name: "anvil" }
    },
    {
      does: "announces that it keeps the connection for no time at all",
      server: answering(answer("{\"name\":\"anvil\"}", ["keep-alive: timeout=0"])),
      gets: { name: "anvil" }
    },
    {
      does: "sends two responses to the second request",
      whileIdle: () => {},
      server: answering(named("anvil") + named("evil")),
      gets: { name: "anvil" }
    },
    {
      does: "responds to the second request without HTTP",
      whileIdle: () => {},
      server: answering("garbage\r\n\r\n"),
      gets: new InvalidResponse(undefined, "not HTTP (Expected HTTP/, RTSP/ or ICE/)")
    }
  ]
}
