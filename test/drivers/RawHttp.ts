/** HTTP as bytes on a connection of its own, for requests that no client would send. */
import { Effect } from "effect"
import { connect, type Socket } from "node:net"
import { patience } from "../watches/Patience.ts"

export interface RawReply {
  readonly status: number
  /** Values by name, in lower case. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** The bytes that could be written until the response came. */
  readonly written: number
}

/** Writes a text, and then more with `feed`. Reads until the server closes the connection. */
export const send = (
  url: string,
  text: string,
  feed: (socket: Socket) => void = () => {}
): Effect.Effect<RawReply> =>
  Effect.callback<RawReply>((resume) => {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    let got = ""
    socket.setEncoding("latin1")
    socket.on("data", (chunk) => {
      got += String(chunk)
    })
    // A server that refuses a body may reset the connection after its response.
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.sync(() => parse(got, socket.bytesWritten))))
    socket.write(text, () => feed(socket))
    return Effect.sync(() => socket.destroy())
  }).pipe(
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.die(new Error("the server neither answers nor closes"))
    })
  )

const parse = (got: string, written: number): RawReply => {
  const [head = "", ...body] = got.replace(/^HTTP\/1\.1 100 [^]*?\r\n\r\n/, "").split("\r\n\r\n")
  const [line = "", ...headers] = head.split("\r\n")
  return {
    status: Number(line.split(" ")[1]),
    headers: new Map(headers.map((header) => {
      const at = header.indexOf(":")
      return [header.slice(0, at).toLowerCase(), header.slice(at + 1).trim()]
    })),
    body: body.join("\r\n\r\n"),
    written
  }
}

/** The head of a request whose connection closes after the response. */
export const head = (method: string, path: string, headers: Readonly<Record<string, string>>): string =>
  [
    `${method} ${path} HTTP/1.1`,
    ...Object.entries({ connection: "close", ...headers }).map(([name, value]) => `${name}: ${value}`),
    "",
    ""
  ].join("\r\n")
