import { DeadlineExceeded, InvalidResponse, Timeout } from "@breakwater/core/VendorError"
import { answering, dripping, flooding, ok, type Section } from "./Row.ts"

const chunked = `${ok}transfer-encoding: chunked\r\n\r\n`

export const slow: Section = {
  title: "Slowness",
  rows: [
    {
      does: "sends its status line a character at a time, and never ends it",
      server: dripping("HTTP/1.1 200 ", "O"),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    },
    {
      does: "sends headers a character at a time (slowloris)",
      server: dripping(ok, "x-more: and more\r\n"),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    },
    {
      does: "stops among the headers",
      server: answering(`${ok}content-le`),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    },
    {
      does: "asks for patience without end (102 Processing)",
      server: dripping("", "HTTP/1.1 102 Processing\r\n\r\n", 1),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    },
    {
      does: "sends the body a character at a time",
      server: dripping(`${ok}content-length: 60000\r\n\r\n`, " "),
      gets: new Timeout("Body", 150),
      limit: ["bodyTimeout", 150],
      policy: { bodyIdleTimeout: 100 }
    },
    {
      does: "sends the body a character at a time, until the attempt times out",
      server: dripping(`${ok}content-length: 60000\r\n\r\n`, " "),
      gets: new Timeout("Body", 150),
      limit: ["attemptTimeout", 150],
      policy: { connectTimeout: 100 }
    },
    {
      does: "sends the body a character at a time, until the deadline",
      server: dripping(`${ok}content-length: 60000\r\n\r\n`, " "),
      gets: new DeadlineExceeded("Unknown", { wasFair: true }),
      limit: ["deadline", 150],
      policy: { attemptTimeout: 150, connectTimeout: 100 }
    },
    {
      does: "sends chunks of one character",
      server: dripping(chunked, "1\r\n \r\n", 1),
      gets: new Timeout("Body", 150),
      limit: ["bodyTimeout", 150]
    },
    {
      does: "stops before the body",
      server: answering(`${ok}content-length: 15\r\n\r\n`),
      gets: new Timeout("Body", 150),
      limit: ["bodyIdleTimeout", 150]
    },
    {
      does: "stops in the middle of the body",
      server: answering(`${ok}content-length: 15\r\n\r\n{"name":`),
      gets: new Timeout("Body", 150),
      limit: ["bodyIdleTimeout", 150]
    },
    {
      does: "stops before the last chunk",
      server: answering(`${chunked}f\r\n{"name":"evil"}\r\n`),
      gets: new Timeout("Body", 150),
      limit: ["bodyIdleTimeout", 150]
    },
    {
      does: "sends the whole body, and does not close the connection, which would end it",
      server: answering(`${ok}\r\n{"name":"evil"}`),
      gets: new Timeout("Body", 150),
      limit: ["bodyIdleTimeout", 150]
    },
    {
      does: "sends headers after the last chunk a character at a time",
      server: dripping(`${chunked}f\r\n{"name":"evil"}\r\n0\r\n`, "x-more: and more\r\n"),
      gets: new Timeout("Body", 150),
      limit: ["bodyTimeout", 150]
    },
    {
      does: "sends one-byte headers after the last chunk as fast as it can",
      server: flooding(`${chunked}f\r\n{"name":"evil"}\r\n0\r\n`, "a:\r\n"),
      gets: new InvalidResponse(200, "not HTTP (the headers are too large)"),
      isLarge: true
    }
  ]
}
