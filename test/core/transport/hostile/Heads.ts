import { InvalidResponse, Timeout, Unavailable } from "@breakwater/core/VendorError"
import { answer, answering, flooding, named, ok, type Section } from "./Row.ts"

const notHttp = (words: string, status?: number) => new InvalidResponse(status, `not HTTP (${words})`)

/** A good answer, had it not this in place of its first line, or behind that. */
const withStatusLine = (line: string) => answering(named("evil").replace("HTTP/1.1 200 OK", line))
const withHeader = (header: string) => answering(named("evil").replace(ok, `${ok}${header}\r\n`))

export const heads: Section = {
  title: "Status lines and headers",
  rows: [
    {
      does: "speaks another protocol",
      server: answering("220 mail.example ESMTP\r\n"),
      gets: notHttp("Expected HTTP/, RTSP/ or ICE/")
    },
    {
      does: "answers as HTTP/0.9 did: the body alone",
      server: answering("{\"name\":\"evil\"}\r\n\r\n"),
      gets: notHttp("Expected HTTP/, RTSP/ or ICE/")
    },
    {
      does: "sends the request back",
      server: answering("GET /item HTTP/1.1\r\nhost: acme\r\n\r\n"),
      gets: notHttp("Expected HTTP/, RTSP/ or ICE/")
    },
    {
      does: "says HTTP/3.0",
      server: withStatusLine("HTTP/3.0 200 OK"),
      gets: notHttp("Invalid HTTP version")
    },
    {
      does: "says HTTP/1.2",
      server: withStatusLine("HTTP/1.2 200 OK"),
      gets: notHttp("Invalid HTTP version")
    },
    {
      does: "says HTTP/2.0 and goes on as in HTTP/1.1, which the parser lets pass",
      server: withStatusLine("HTTP/2.0 200 OK"),
      gets: { name: "evil" }
    },
    {
      does: "says RTSP/1.0 and goes on as in HTTP/1.1, which the parser lets pass",
      server: withStatusLine("RTSP/1.0 200 OK"),
      gets: { name: "evil" }
    },
    {
      does: "answers with HTTP/1.0",
      server: withStatusLine("HTTP/1.0 200 OK"),
      gets: { name: "evil" }
    },
    {
      does: "gives a status of four digits",
      server: withStatusLine("HTTP/1.1 2000 OK"),
      gets: notHttp("Invalid response status")
    },
    {
      does: "gives a status of two digits",
      server: withStatusLine("HTTP/1.1 20 OK"),
      gets: notHttp("Invalid status code")
    },
    {
      does: "gives a negative status",
      server: withStatusLine("HTTP/1.1 -200 OK"),
      gets: notHttp("Invalid status code")
    },
    { does: "gives no status", server: withStatusLine("HTTP/1.1 OK"), gets: notHttp("Invalid status code") },
    { does: "gives the status 000", server: withStatusLine("HTTP/1.1 000 OK"), gets: notHttp("status 0") },
    { does: "gives the status 099", server: withStatusLine("HTTP/1.1 099 OK"), gets: notHttp("status 99") },
    {
      does: "gives the status 999, which counts as 5xx (RFC 9110, section 15)",
      server: withStatusLine("HTTP/1.1 999 OK"),
      gets: new Unavailable(999),
      connection: "kept"
    },
    {
      does: "gives a status line without a reason",
      server: withStatusLine("HTTP/1.1 200"),
      gets: { name: "evil" },
      connection: "kept"
    },
    {
      does: "gives a reason that never ends",
      server: flooding("HTTP/1.1 200 ", "all work and no play "),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150],
      isLarge: true
    },
    {
      does: "begins with empty lines that never end",
      server: flooding("\r\n", "\r\n\r\n"),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150],
      isLarge: true
    },
    {
      does: "sends provisional answers that never end",
      server: flooding("", "HTTP/1.1 102 Processing\r\n\r\n"),
      gets: new InvalidResponse(undefined, "more than 16 interim responses (1xx)"),
      isLarge: true
    },
    {
      does: "sends a few provisional answers before the answer",
      server: answering(
        "HTTP/1.1 102 Processing\r\n\r\n".repeat(3),
        "HTTP/1.1 103 Early Hints\r\nlink: </evil.css>\r\n\r\n",
        named("anvil")
      ),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "says 100 Continue, which nobody had asked for",
      server: answering("HTTP/1.1 100 Continue\r\n\r\n", named("evil")),
      gets: notHttp("a status that was not asked for")
    },
    {
      does: "switches to another protocol, which nobody had offered",
      server: answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: tea\r\nconnection: upgrade\r\n\r\n"),
      gets: notHttp("a status that was not asked for")
    },
    {
      does: "says 101 and names no protocol",
      server: answering("HTTP/1.1 101 Switching Protocols\r\n\r\n", named("evil")),
      gets: notHttp("status 101")
    },
    {
      does: "sends a header without a colon",
      server: withHeader("x-name anvil"),
      gets: notHttp("Invalid header token")
    },
    {
      does: "sends a space before a colon",
      server: withHeader("x-name : anvil"),
      gets: notHttp("Invalid header token")
    },
    { does: "sends a header without a name", server: withHeader(": anvil"), gets: notHttp("Invalid header token") },
    {
      does: "sends a zero byte in a header",
      server: withHeader("x-name: an\0vil"),
      gets: notHttp("Invalid header value char")
    },
    {
      does: "sends a control character in a header",
      server: withHeader("x-name: an\x01vil"),
      gets: notHttp("Invalid header value char")
    },
    {
      does: "sends a carriage return in a header",
      server: withHeader("x-name: an\rvil"),
      gets: notHttp("Missing expected LF after header value")
    },
    {
      does: "folds a header over two lines (obs-fold)",
      server: withHeader("x-name: an\r\n vil"),
      gets: notHttp("Unexpected whitespace after header value")
    },
    {
      does: "begins the first header with a space",
      server: withHeader(" x-name: anvil"),
      gets: notHttp("Unexpected space after start line")
    },
    {
      does: "ends its lines with line feeds alone",
      server: answering(named("evil").replaceAll("\r", "")),
      gets: notHttp("Missing expected CR after response line")
    },
    {
      does: "ends one header with a line feed alone",
      server: withHeader("x-name: anvil\nx-evil: 1"),
      gets: notHttp("Missing expected CR after header value")
    },
    {
      does: "sends headers named like what every object has",
      server: withHeader(
        "__proto__: evil\r\nconstructor: evil\r\ntoString: evil\r\n__proto__: evil\r\nhasOwnProperty: evil"
      ),
      gets: { name: "evil" },
      connection: "kept"
    },
    {
      does: "sends more headers than are read",
      server: withHeader("a:1\r\n".repeat(255).trimEnd()),
      gets: new InvalidResponse(200, "more than 256 headers")
    },
    {
      does: "sends thousands of headers that are almost nothing",
      server: withHeader("a:\r\n".repeat(5_000).trimEnd()),
      gets: new InvalidResponse(200, "more than 256 headers")
    },
    {
      does: "sends a header that is larger than all may be",
      server: withHeader(`x-name: ${"x".repeat(20_000)}`),
      gets: notHttp("the headers are too large")
    },
    {
      does: "sends headers that never end",
      server: flooding(ok, "x-more: and more\r\n"),
      gets: notHttp("the headers are too large"),
      isLarge: true
    },
    {
      does: "sends a header that never ends",
      server: flooding(`${ok}x-more: `, "and more "),
      gets: notHttp("the headers are too large"),
      isLarge: true
    },
    {
      does: "sends a header whose name never ends",
      server: flooding(`${ok}x-`, "more-"),
      gets: notHttp("the headers are too large"),
      isLarge: true
    },
    {
      does: "answers a HEAD with a body",
      call: "probe",
      server: answering(answer("{\"name\":\"evil\"}")),
      gets: { name: "probed" }
    },
    {
      does: "answers a HEAD with a body of terabytes, as it says",
      call: "probe",
      server: answering(`${ok}content-length: 9999999999999\r\ncontent-encoding: gzip\r\n\r\n`),
      gets: { name: "probed" }
    }
  ]
}
