/**
 * A tunnel through a proxy: `CONNECT` (RFC 9110, 9.3.6). Nothing is sent through it before the proxy's 200. The rest of
 * the proxy's response is not passed on.
 */
import * as Redacted from "effect/Redacted"
import { isIP, type Socket } from "node:net"
import { connect as connectTls, type ConnectionOptions } from "node:tls"
import type { Proxy } from "../Proxy.ts"

/**
 * Opens a tunnel to a host and port over a connection to the proxy, and reports once whether it succeeded. Until then,
 * destroying the returned socket gives it up.
 */
export const open = (
  connection: Socket,
  proxy: Proxy,
  target: { readonly hostname: string; readonly port: number },
  tls: ConnectionOptions,
  maxHeaderBytes: number,
  told: (outcome: Socket | undefined) => void
): Socket => {
  const { hostname, isTls } = proxy
  const socket = isTls
    ? connectTls({
      ...tls,
      socket: connection,
      // The certificate is checked for this host. A literal address is not sent as a server name (RFC 6066, section 3).
      host: hostname,
      ...(isIP(hostname) === 0 ? { servername: hostname } : undefined)
    })
    : connection
  const authority = `${target.hostname.includes(":") ? `[${target.hostname}]` : target.hostname}:${target.port}`
  let isOver = false
  const end = (outcome: Socket | undefined) => {
    if (isOver) return
    isOver = true
    socket.off("error", fail)
    if (outcome === undefined) {
      socket.on("error", () => {}).destroy()
    }
    told(outcome)
  }
  const fail = () => end(undefined)
  const ask = () =>
    // As an ES module, `node:http` makes Node load its own copy of undici for names that nobody asks for: 14 ms at start.
    process.getBuiltinModule("node:http").request({
      method: "CONNECT",
      path: authority,
      headers: {
        host: authority,
        ...(proxy.authorization === undefined
          ? undefined
          : { "proxy-authorization": Redacted.value(proxy.authorization) })
      },
      maxHeaderSize: maxHeaderBytes,
      createConnection: () => socket
    })
      // A server never speaks first in a tunnel, so bytes after the 200 are the proxy's own.
      .on(
        "connect",
        ({ statusCode }, _socket, rest) => end(statusCode === 200 && rest.length === 0 ? socket : undefined)
      )
      .on("error", fail)
      .end()
  socket.on("error", fail).on("close", fail)
  if (isTls) socket.once("secureConnect", ask)
  else ask()
  return socket
}
