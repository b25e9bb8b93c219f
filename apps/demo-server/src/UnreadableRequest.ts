/** Answers to requests that Node cannot read or that take too long to arrive, in our own format. */
import type { Server } from "node:http"
import type { Duplex } from "node:stream"
import * as Problem from "./Problem.ts"
import * as RequestId from "./RequestId.ts"

/** Answers such requests of a server, and closes their connections. */
export const answer = (server: Server): void => {
  /** Connections with a request in work. Its own response may have begun, so they are only closed. */
  const busy = new WeakSet<Duplex>()
  server.on("request", ({ socket }, response) => {
    busy.add(socket)
    response.once("finish", () => busy.delete(socket))
  })
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || busy.has(socket)) {
      socket.destroy()
      return
    }
    const { body, status } = problemOf(error.code)
    const text = JSON.stringify(body)
    socket.end(
      [
        `HTTP/1.1 ${status}`,
        "connection: close",
        "content-type: application/json",
        `content-length: ${Buffer.byteLength(text)}`,
        `${RequestId.header}: ${RequestId.make()}`,
        "",
        text
      ].join("\r\n")
    )
  })
}

/** The codes of Node: https://nodejs.org/api/http.html#event-clienterror */
const problemOf = (code: string | undefined): { readonly status: string; readonly body: object } => {
  if (code === "HPE_HEADER_OVERFLOW") {
    const body = Problem.invalidRequest("headers", "must be shorter than 16 kB in all")
    return { status: "431 Request Header Fields Too Large", body }
  }
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return { status: "408 Request Timeout", body: Problem.tooSlow }
  return { status: "400 Bad Request", body: Problem.invalidRequest("request", "is not HTTP/1.1") }
}
