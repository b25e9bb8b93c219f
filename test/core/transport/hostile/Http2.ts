import { ConnectionLost, ResponseTooLarge, Timeout } from "@breakwater/core/VendorError"
import { gzipSync } from "node:zlib"
import { authority } from "../../../fakes/Certificates.ts"
import type { Behaviour, Connection } from "../../../fakes/HostileServer.ts"
import type { Row, Section } from "./Row.ts"

const vouching = authority()
const tls = { ...vouching.issue(), ALPNProtocols: ["h2"] }

/** A frame (RFC 9113, section 4.1), its bytes as Latin-1. */
const frame = (type: number, flags: number, stream: number, payload = ""): string => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return head.toString("latin1") + payload
}

const endStream = 1
const endHeaders = 4
const data = (payload: string, flags = 0, stream = 1) => frame(0, flags, stream, payload)
const headers = (block: string, flags = endHeaders, stream = 1) => frame(1, flags, stream, block)
const reset = (code: number) => frame(3, 0, 1, String.fromCharCode(0, 0, 0, code))
const settings = frame(4, 0, 0)
const push = frame(5, endHeaders, 1, "\0\0\0\x02\x82\x84\x87")
const ping = frame(6, 0, 0, "12345678")
const goAway = frame(7, 0, 0, "\0\0\0\x01\0\0\0\0")
const continuation = (block: string, flags = 0) => frame(9, flags, 1, block)

/** `:status: 200`, from the static table (RFC 7541, appendix A). */
const ok = "\x88"
/** A literal header without indexing (RFC 7541, section 6.2.2). */
const header = (name: string, value: string) =>
  `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`

const json = "{\"name\":\"anvil\"}"

/** Acts once the headers of the first request, on stream 1, have arrived. */
const onHead = (act: (connection: Connection) => void): Behaviour => {
  const answered = new Set<Connection>()
  return {
    onConnection: (connection) => connection.write(settings),
    onBytes: (connection) => {
      if (answered.has(connection) || !hasHead(connection.received)) return
      answered.add(connection)
      act(connection)
    }
  }
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

const hasHead = (received: string): boolean => {
  const bytes = Buffer.from(received, "latin1")
  for (let at = preface.length; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    if (bytes[at + 3] === 1) return true
  }
  return false
}

const over = (does: string, row: Omit<Row, "does" | "tls" | "transport" | "connection" | "requests">): Row => ({
  does,
  tls,
  transport: { http2: true, tls: { ca: [vouching.certificate] } },
  // To the line-based server, the connection preface looks like two requests.
  requests: 2,
  connection: "none",
  ...row
})

const answering = (...frames: ReadonlyArray<string>) => onHead((connection) => connection.write(frames.join("")))

const flooding = (frames: string) =>
  onHead((connection) => {
    connection.write(headers(ok))
    connection.flood(frames)
  })

export const http2: Section = {
  title: "HTTP/2",
  rows: [
    over("uses HTTP/2 correctly", {
      server: answering(headers(ok), data(json, endStream)),
      gets: { name: "anvil" }
    }),
    over("chooses HTTP/2 and sends nothing", { gets: new Timeout("Headers", 150), limit: ["headersTimeout", 150] }),
    over("chooses HTTP/2 and sends HTTP/1.1", {
      server: { onConnection: (connection) => connection.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") },
      gets: new ConnectionLost("Headers")
    }),
    over("resets the stream", { server: answering(reset(2)), gets: new ConnectionLost("Headers") }),
    over("resets the stream in the middle of the body", {
      server: answering(headers(ok), data("{\"name\":"), reset(2)),
      gets: new ConnectionLost("Body")
    }),
    over("closes the connection in the middle of the body", {
      server: onHead((connection) => connection.end(headers(ok) + data("{\"name\":"))),
      gets: new ConnectionLost("Body")
    }),
    over("sends GOAWAY and then nothing more", {
      server: answering(goAway),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    }),
    over("declares a length, and ends the stream before it", {
      server: answering(headers(ok + header("content-length", "99")), data(json, endStream)),
      gets: new ConnectionLost("Body")
    }),
    over("pushes an unrequested resource", {
      server: answering(push),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    }),
    over("responds on a stream that was never opened", {
      server: answering(headers(ok, endHeaders, 3), data(json, endStream, 3)),
      gets: new ConnectionLost("Headers")
    }),
    over("sends a header in capitals", {
      server: answering(headers(ok + header("X-Name", "anvil")), data(json, endStream)),
      gets: new ConnectionLost("Headers")
    }),
    over("sends a line break in a header, which is dropped", {
      server: answering(headers(ok + header("x-name", "a\r\nb")), data(json, endStream)),
      gets: { name: "anvil" }
    }),
    over("sends a header block that cannot be read", {
      server: answering(headers("\xff\xff\xff\xff\xff")),
      gets: new ConnectionLost("Headers")
    }),
    over("sends hundreds of headers", {
      server: answering(headers(ok + header("a", "b").repeat(400)), data(json, endStream)),
      gets: new ConnectionLost("Headers")
    }),
    over("sends headers that never end (CONTINUATION flood)", {
      server: onHead((connection) => {
        connection.write(headers(ok, 0))
        connection.flood(continuation(header("x-more", "and more")))
      }),
      gets: new ConnectionLost("Headers"),
      isLarge: true
    }),
    over("sends a body that never ends", {
      server: flooding(data("x".repeat(16_000))),
      gets: new ResponseTooLarge(64 * 1024),
      isLarge: true
    }),
    over("sends empty frames of a body that never end", {
      server: flooding(data("")),
      gets: new ConnectionLost("Body"),
      isLarge: true
    }),
    over("pings without end (PING flood)", {
      server: flooding(ping),
      gets: new ConnectionLost("Body"),
      isLarge: true
    }),
    over("changes its settings without end (SETTINGS flood)", {
      server: flooding(settings),
      gets: new ConnectionLost("Body"),
      isLarge: true
    }),
    over("sends a decompression bomb", {
      server: answering(
        headers(ok + header("content-encoding", "gzip")),
        data(gzipSync(Buffer.alloc(8 * 1024 * 1024)).toString("latin1"), endStream)
      ),
      gets: new ResponseTooLarge(64 * 1024),
      isLarge: true
    })
  ]
}
