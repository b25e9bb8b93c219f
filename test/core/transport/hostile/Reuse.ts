import { ConnectFailed, ConnectionLost, InvalidResponse } from "@breakwater/core/VendorError"
import { answer, answering, named, type Section } from "./Row.ts"

/** What a server does to a connection that waits for its next use, or to its next use. */
export const reuse: Section = {
  title: "Connections that are used again",
  rows: [
    {
      does: "resets an idle connection in the moment in which it is used again",
      whileIdle: (connection) => connection.reset(),
      gets: new ConnectFailed("Unreachable"),
      requests: 0
    },
    {
      does: "resets an idle connection in the moment in which it is used again for a write, which goes out once",
      call: "ship",
      whileIdle: (connection) => connection.reset(),
      server: answering(named("written")),
      gets: { name: "written" },
      policy: { retry: { base: 0, retries: 1 } },
      connection: "none"
    },
    {
      does: "closes an idle connection in the moment in which it is used again",
      whileIdle: (connection) => connection.end(),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "resets a connection when its second request has come, before any byte of an answer",
      whileIdle: () => {},
      server: { onRequest: (connection) => connection.reset() },
      gets: new ConnectionLost("Headers")
    },
    {
      does: "resets a connection when its second request has come, a write",
      call: "ship",
      whileIdle: () => {},
      server: { onRequest: (connection) => connection.reset() },
      gets: new ConnectionLost("Headers"),
      policy: { retry: { base: 0, retries: 3 } }
    },
    {
      does: "sends an answer over an idle connection, to a question nobody has asked",
      whileIdle: (connection) => connection.write(named("evil")),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "says over an idle connection that it has waited long enough (408)",
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
      does: "sends half an answer over an idle connection",
      whileIdle: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n"),
      server: answering(named("anvil")),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "closes its half of the connection behind an answer, without having said so",
      server: { onRequest: (connection) => connection.end(named("anvil")) },
      gets: { name: "anvil" }
    },
    {
      does: "resets the connection behind an answer",
      server: {
        onRequest: (connection) => {
          connection.write(named("anvil"))
          connection.reset()
        }
      },
      gets: { name: "anvil" }
    },
    {
      does: "says that it closes the connection, and leaves it open",
      server: answering(answer("{\"name\":\"anvil\"}", ["connection: close"])),
      gets: { name: "anvil" }
    },
    {
      does: "says that it keeps the connection for no time at all",
      server: answering(answer("{\"name\":\"anvil\"}", ["keep-alive: timeout=0"])),
      gets: { name: "anvil" }
    },
    {
      does: "answers the second request with two answers",
      whileIdle: () => {},
      server: answering(named("anvil") + named("evil")),
      gets: { name: "anvil" }
    },
    {
      does: "answers the second request with what is not HTTP",
      whileIdle: () => {},
      server: answering("garbage\r\n\r\n"),
      gets: new InvalidResponse(undefined, "not HTTP (Expected HTTP/, RTSP/ or ICE/)")
    }
  ]
}
