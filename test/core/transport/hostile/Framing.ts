import { ConnectionLost, InvalidResponse, ResponseTooLarge, Timeout } from "@breakwater/core/VendorError"
import { answering, ending, flooding, named, ok, type Section } from "./Row.ts"

const notHttp = (words: string, status?: number) => new InvalidResponse(status, `not HTTP (${words})`)
const unparsed = notHttp("the headers cannot be parsed")
const notChunked = new InvalidResponse(200, "a transfer-encoding other than chunked")

const body = "{\"name\":\"evil\"}"
const headers = (...lines: ReadonlyArray<string>) =>
  `${ok}content-type: application/json\r\n${lines.join("\r\n")}\r\n\r\n`
const lengths = (...lines: ReadonlyArray<string>) => answering(headers(...lines) + body)
const inChunks = "f\r\n{\"name\":\"evil\"}\r\n0\r\n\r\n"
const codings = (...lines: ReadonlyArray<string>) => answering(headers(...lines) + inChunks)
const chunks = (bytes: string) => answering(headers("transfer-encoding: chunked") + bytes)

export const framing: Section = {
  title: "The end of a response",
  rows: [
    {
      does: "declares the same length twice",
      server: lengths("content-length: 15", "content-length: 15"),
      gets: unparsed
    },
    { does: "declares two lengths", server: lengths("content-length: 15", "content-length: 5"), gets: unparsed },
    { does: "declares two lengths in one header", server: lengths("content-length: 15, 15"), gets: unparsed },
    {
      does: "declares a negative length",
      server: lengths("content-length: -15"),
      gets: notHttp("Invalid character in Content-Length")
    },
    {
      does: "declares a length with a sign",
      server: lengths("content-length: +15"),
      gets: notHttp("Invalid character in Content-Length")
    },
    {
      does: "declares a length in hexadecimal",
      server: lengths("content-length: 0xf"),
      gets: notHttp("Invalid character in Content-Length")
    },
    { does: "declares a length with a fraction", server: lengths("content-length: 15.0"), gets: unparsed },
    {
      does: "declares a length that is not a number",
      server: lengths("content-length: "),
      gets: notHttp("Empty Content-Length")
    },
    {
      does: "declares a length beyond 64 bits",
      server: lengths("content-length: 18446744073709551631"),
      gets: unparsed
    },
    {
      does: "declares a length beyond the exact range of a number",
      server: lengths("content-length: 9007199254740993"),
      gets: new ResponseTooLarge(64 * 1024)
    },
    { does: "folds a length over two lines", server: lengths("content-length: 1", " 5"), gets: unparsed },
    {
      does: "declares a length, and chunks as well",
      server: codings("content-length: 15", "transfer-encoding: chunked"),
      gets: unparsed
    },
    {
      does: "declares chunks, and a length as well",
      server: codings("transfer-encoding: chunked", "content-length: 15"),
      gets: notHttp("Content-Length can't be present with Transfer-Encoding")
    },
    {
      does: "declares chunks twice",
      server: codings("transfer-encoding: chunked", "transfer-encoding: chunked"),
      gets: notChunked
    },
    { does: "declares chunks within chunks", server: codings("transfer-encoding: chunked, chunked"), gets: notChunked },
    {
      does: "declares chunks of a compressed body",
      server: codings("transfer-encoding: gzip, chunked"),
      gets: notChunked
    },
    {
      does: "declares a compressed sequence of chunks",
      server: codings("transfer-encoding: chunked, gzip"),
      gets: notChunked
    },
    {
      does: "declares an unknown transfer coding",
      server: codings("transfer-encoding: xchunked"),
      gets: notChunked
    },
    {
      does: "declares the transfer coding `identity`",
      server: codings("transfer-encoding: identity"),
      gets: notChunked
    },
    {
      does: "hides the chunks behind a control character",
      server: codings("transfer-encoding: \x0bchunked"),
      gets: notHttp("Invalid header value char")
    },
    {
      does: "folds the transfer coding over two lines",
      server: codings("transfer-encoding:", " chunked"),
      gets: notHttp("Invalid header value char")
    },
    {
      does: "writes the transfer coding in capitals",
      server: codings("transfer-encoding: CHUNKED"),
      gets: { name: "evil" },
      connection: "kept"
    },
    {
      does: "sends a chunk size beyond 64 bits",
      server: chunks(`fffffffffffffffff\r\n${body}`),
      gets: notHttp("Chunk size overflow", 200)
    },
    {
      does: "sends a chunk size of terabytes",
      server: chunks(`fffffffffff\r\n${body}`),
      gets: new Timeout("Body", 150),
      limit: ["bodyIdleTimeout", 150]
    },
    {
      does: "sends a negative chunk size",
      server: chunks(`-f\r\n${body}\r\n0\r\n\r\n`),
      gets: notHttp("Invalid character in chunk size", 200)
    },
    {
      does: "writes a chunk size like a program (0x)",
      server: chunks(`0xf\r\n${body}\r\n0\r\n\r\n`),
      gets: notHttp("Invalid character in chunk size", 200)
    },
    {
      does: "sends a chunk without a size",
      server: chunks(`\r\n${body}\r\n0\r\n\r\n`),
      gets: notHttp("Invalid character in chunk size", 200)
    },
    {
      does: "sends a chunk size with a space after it",
      server: chunks(`f \r\n${body}\r\n0\r\n\r\n`),
      gets: notHttp("Invalid character in chunk size", 200)
    },
    {
      does: "ends a chunk size with a line feed alone",
      server: chunks(`f\n${body}\r\n0\r\n\r\n`),
      gets: notHttp("Missing expected CR after chunk size", 200)
    },
    {
      does: "hides a line feed in a chunk extension",
      server: chunks(`f;a=b\n0\r\n\r\n${body}\r\n0\r\n\r\n`),
      gets: notHttp("Missing expected CR after chunk extension value", 200)
    },
    {
      does: "sends a chunk extension",
      server: chunks(`f;a=b;c="d"\r\n${body}\r\n0\r\n\r\n`),
      gets: { name: "evil" },
      connection: "kept"
    },
    {
      does: "sends a chunk extension that never ends",
      server: flooding(headers("transfer-encoding: chunked") + "f;", "a=b;"),
      gets: new Timeout("Body", 150),
      limit: ["bodyTimeout", 150],
      isLarge: true
    },
    {
      does: "sends a chunk that is longer than its size",
      server: chunks(`e\r\n${body}\r\n0\r\n\r\n`),
      gets: notHttp("Expected LF after chunk data", 200)
    },
    {
      does: "sends another chunk in place of a chunk's end",
      server: chunks(`f\r\n${body}0\r\n\r\n`),
      gets: notHttp("Expected LF after chunk data", 200)
    },
    {
      does: "sends a length after the last chunk",
      server: chunks(`f\r\n${body}\r\n0\r\ncontent-length: 99\r\n\r\n`),
      gets: notHttp("Content-Length can't be present with Transfer-Encoding", 200)
    },
    {
      does: "sends a header after the last chunk, which is ignored",
      server: chunks(`f\r\n${body}\r\n0\r\nretry-after: 99\r\n\r\n`),
      gets: { name: "evil" },
      connection: "kept"
    },
    {
      does: "sends headers after the last chunk that never end",
      server: flooding(`${headers("transfer-encoding: chunked")}f\r\n${body}\r\n0\r\n`, "x-more: and more\r\n"),
      gets: notHttp("the headers are too large", 200),
      isLarge: true
    },
    {
      does: "closes the connection in the middle of a body of a declared length",
      server: ending(`${headers("content-length: 30")}${body}`),
      gets: new ConnectionLost("Body")
    },
    {
      does: "closes the connection before the last chunk",
      server: ending(`${headers("transfer-encoding: chunked")}f\r\n${body}\r\n`),
      gets: new ConnectionLost("Body")
    },
    {
      does: "closes the connection in the middle of a body without a length, which looks like its end",
      server: ending(`${headers("connection: close")}{"name":"ev`),
      gets: new InvalidResponse(200, "Expected a JSON body")
    },
    {
      does: "declares no length, and closes the connection at the end",
      server: ending(headers("connection: close") + body),
      gets: { name: "evil" }
    },
    {
      does: "sends more than the declared length",
      server: answering(`${named("anvil")} and more`),
      gets: { name: "anvil" }
    },
    {
      does: "sends a second response right after the first",
      server: answering(named("anvil") + named("evil")),
      gets: { name: "anvil" }
    },
    {
      does: "sends a second response in a separate packet",
      server: answering(named("anvil"), named("evil")),
      gets: { name: "anvil" }
    },
    {
      does: "sends a thousand responses to one request",
      server: answering(named("anvil") + named("evil").repeat(1_000)),
      gets: { name: "anvil" }
    },
    {
      does: "sends a second response after the last chunk",
      server: answering(headers("transfer-encoding: chunked") + inChunks + named("very evil")),
      gets: { name: "evil" }
    },
    {
      does: "sends the beginning of a second response after the first",
      server: answering(`${named("anvil")}HTTP/1.1 200 OK\r\n`),
      gets: { name: "anvil" }
    },
    {
      does: "sends a second response in the body of a status that has no body",
      server: answering(`HTTP/1.1 204 No Content\r\ncontent-length: 80\r\n\r\n${named("evil")}`),
      gets: new InvalidResponse(204, "status 204 is not part of the contract")
    },
    {
      does: "sends a second response after 304 Not Modified",
      server: answering(`HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n${named("evil")}`),
      gets: new InvalidResponse(304, "status 304 is not part of the contract")
    },
    {
      does: "responds before the request, as only the vendor can",
      server: { onConnection: (connection) => connection.write(named("early")) },
      gets: { name: "early" },
      connection: "kept",
      requests: 1
    }
  ]
}
