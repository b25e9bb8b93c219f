import { InvalidResponse, Timeout, Unavailable } from "@breakwater/core/VendorError"
import { answer, answering, flooding, named, ok, type Section } from "./Row.ts"

const notHttp = (words: string, status?: number) => new InvalidResponse(status, `not HTTP (${words})`)

/** A correct response, except for this status line, or this text after it. */
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
      does: "responds as in HTTP/0.9: with the body alone",
      server: answering("{\"name\":\"evil\"}\r\n\r\n"),
      gets: notHttp("Expected HTTP/, RTSP/ or ICE/")
    },
    {
      does: "sends the request back",
      server: answering("GET /item HTTP/1.1\r\nhost: acme\r\n\r\n"),
      gets: notHttp("Expected HTTP/, RTSP/ or ICE/")
    },
    {
      does: "claims HTTP/3.0",
      server: withStatusLine("HTTP/3.0 200 OK"),
      gets: notHttp("Invalid HTTP version")
    },
    {
      does: "claims HTTP/1.2",
      server: withStatusLine("HTTP/1.2 200 OK"),
      gets: notHttp("Invalid HTTP version")
    },
    {
      does: "claims HTTP/2.0 and continues as in HTTP/1.1, which the parser accepts",
      server: withStatusLine("HTTP/2.0 200 OK"),
      gets: { name: "evil" }
    },
    {
      does: "claims RTSP/1.0 and continues as in HTTP/1.1, which the parser accepts",
      server: withStatusLine("RTSP/1.0 200 OK"),
      gets: { name: "evil" }
    },
    {
      does: "responds with HTTP/1.0",
      server: withStatusLine("HTTP/1.0 200 OK"),
      gets: { name: "evil" }
    },
    {
      does: "sends a status of four digits",
      server: withStatusLine("HTTP/1.1 2000 OK"),
      gets: notHttp("Invalid response status")
    },
    {
      does: "sends a status of two digits",
      server: withStatusLine("HTTP/1.1 20 OK"),
      gets: notHttp("Invalid status code")
    },
    {
      does: "sends a negative status",
      server: withStatusLine("HTTP/1.1 -200 OK"),
      gets: notHttp("Invalid status code")
    },
    { does: "sends no status", server: withStatusLine("HTTP/1.1 OK"), gets: notHttp("Invalid status code") },
    { does: "sends the status 000", server: withStatusLine("HTTP/1.1 000 OK"), gets: notHttp("status 0") },
    { does: "sends the status 099", server: withStatusLine("HTTP/1.1 099 OK"), gets: notHttp("status 99") },
    {
      does: "sends the status 999, which counts as 5xx (RFC 9110, section 15)",
      server: withStatusLine("HTTP/1.1 999 OK"),
      gets: new Unavailable(999),
      connection: "kept"
    },
    {
      does: "sends a status line without a reason",
      server: withStatusLine("HTTP/1.1 200"),
      gets: { name: "evil" },
      connection: "kept"
    },
    {
      does: "sends a reason phrase that never ends",
      server: flooding("HTTP/1.1 200 ", "all work and no play "),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150],
      isLarge: true
    },
    {
      does: "sends empty lines that never end before the status line",
      server: flooding("\r\n", "\r\n\r\n"),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150],
      isLarge: true
    },
    {
      does: "sends interim responses that never end",
      server: flooding("", "HTTP/1.1 102 Processing\r\n\r\n"),
      gets: new InvalidResponse(undefined, "more than 16 interim responses (1xx)"),
      isLarge: true
    },
    {
      does: "sends a few interim responses before the response",
      server: answering(
        "HTTP/1.1 102 Processing\r\n\r\n".repeat(3),
        "HTTP/1.1 103 Early Hints\r\nlink: </evil.css>\r\n\r\n",
        named("anvil")
      ),
      gets: { name: "anvil" },
      connection: "kept"
    },
    {
      does: "sends an unsolicited 100 Continue",
      server: answering("HTTP/1.1 100 Continue\r\n\r\n", named("evil")),
      gets: notHttp("a status that was not asked for")
    },
    {
      does: "switches to another protocol without an offer",
      server: answering("HTTP/1.1 101 Switching Protocols\r\nupgrade: tea\r\nconnection: upgrade\r\n\r\n"),
      gets: notHttp("a status that was not asked for")
    },
    {
      does: "sends 101 without a protocol",
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
      does: "sends headers named like the properties of every object",
      server: withHeader(
        "__proto__: evil\r\nconstructor: evil\r\ntoString: evil\r\n__proto__: evil\r\nhasOwnProperty: evil"
      ),
      gets: { name: "evil" },
      connection: "kept"
    },
    {
      does: "sends more headers than allowed",
      server: withHeader("a:1\r\n".repeat(255).trimEnd()),
      gets: new InvalidResponse(200, "more than 256 headers")
    },
    {
      does: "sends thousands of tiny headers",
      server: withHeader("a:\r\n".repeat(5_000).trimEnd()),
      gets: new InvalidResponse(200, "more than 256 headers")
    },
    {
      does: "sends a header beyond the limit of all headers",
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
      does: "responds to a HEAD with a body",
      call: "probe",
      server: answering(answer("{\"name\":\"evil\"}")),
      gets: { name: "probed" }
    },
    {
      does: "responds to a HEAD with a declared length of terabytes",
      call: "probe",
      server: answering(`${ok}content-length: 9999999999999\r\ncontent-encoding: gzip\r\n\r\n`),
      gets: { name: "probed" }
    }
  ]
}
