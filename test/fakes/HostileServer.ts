/**
 * A server for TCP, and for TLS if asked, but without HTTP: a test controls each connection byte by byte. It also records
 * the client's behaviour, above all whether the client closes the connection.
 */
import { Effect, type Scope } from "effect"
import { createServer, type Socket } from "node:net"
import { TLSSocket, type TLSSocketOptions } from "node:tls"
import * as Watch from "../watches/Watch.ts"
import * as Loopback from "./Loopback.ts"

/** One connection, as the server sees it. Bytes are written and shown as Latin-1. */
export interface Connection {
  /** All bytes received so far. */
  readonly received: string
  /** Heads of requests received so far. */
  readonly requests: number
  /** Whether neither side has closed it yet. */
  readonly isOpen: boolean
  write(bytes: string): void
  /** Ends its side of the connection after these last bytes. */
  end(bytes?: string): void
  /** Ends the connection with a RST: at once, or once what was written before has left. */
  reset(): void
  /** Writes a piece again and again, as fast as it is read, until the connection is closed. */
  flood(bytes: string): void
  /** Writes a text character by character at an interval in milliseconds, again and again. */
  drip(bytes: string, everyMillis: number): void
}

export interface Behaviour {
  /** Called for a new connection. @default does nothing */
  readonly onConnection?: (connection: Connection, index: number) => void
  /** Called for the head of a request; `index` counts the requests of all connections, from 0. @default does nothing */
  readonly onRequest?: (connection: Connection, index: number) => void
  /** Called for received bytes. @default does nothing */
  readonly onBytes?: (connection: Connection) => void
}

export interface HostileServer {
  /** Scheme, host and port. */
  readonly origin: string
  readonly port: number
  readonly connections: ReadonlyArray<Connection>
  /** Connections that neither side has closed. */
  readonly open: number
  /** Waits, with a limit, until the server has seen something; dies after the limit. */
  readonly until: Watch.Watch["until"]
  /** Waits until no connection is open. */
  readonly untilNoneOpen: Effect.Effect<void>
}

/** Key, certificate, and the other options of TLS. */
export interface Tls extends TLSSocketOptions {
  readonly key: string
  readonly cert: string
}

/** Listens on a free port of this machine until the scope ends. */
export const listen = (behaviour: Behaviour, tls?: Tls): Effect.Effect<HostileServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const connections: Array<ServerConnection> = []
    const { changed, until } = Watch.make()
    let requests = 0
    const server = createServer((socket) => {
      const connection = new ServerConnection(socket, tls, {
        changed,
        onRequest: () => behaviour.onRequest?.(connection, requests++),
        onBytes: () => behaviour.onBytes?.(connection)
      })
      connections.push(connection)
      behaviour.onConnection?.(connection, connections.length - 1)
      changed()
    })
    const { open, port } = yield* Loopback.listen(server, changed)
    return {
      origin: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`,
      port,
      connections,
      get open() {
        return open()
      },
      until,
      untilNoneOpen: until("no connection is open", () => open() === 0)
    }
  })

/** A port of this machine on which nothing listens: one that was free a moment ago. */
export const closedPort: Effect.Effect<number> = Effect.scoped(Effect.map(listen({}), ({ port }) => port))

class ServerConnection implements Connection {
  received = ""
  requests = 0
  isOpen = true
  private readonly raw: Socket
  private readonly stream: Socket
  private readonly hears: { readonly changed: () => void; readonly onRequest: () => void; readonly onBytes: () => void }

  constructor(raw: Socket, tls: Tls | undefined, hears: ServerConnection["hears"]) {
    this.raw = raw
    this.hears = hears
    this.stream = tls === undefined ? raw : new TLSSocket(raw, { ...tls, isServer: true })
    // A client that resets is no failure of the server's.
    raw.on("error", () => {})
    this.stream.on("error", () => {})
    raw.once("close", () => {
      this.isOpen = false
    })
    this.stream.on("data", (chunk: Buffer) => this.hear(chunk.toString("latin1")))
  }

  write(bytes: string) {
    this.stream.write(bytes, "latin1")
  }
  end(bytes = "") {
    this.stream.end(bytes, "latin1")
  }
  reset() {
    if (this.stream.writableLength === 0) this.raw.resetAndDestroy()
    else this.stream.write("", () => this.raw.resetAndDestroy())
  }
  flood(bytes: string) {
    const many = bytes.repeat(Math.ceil(10_000 / bytes.length))
    const more = () => {
      while (!this.stream.destroyed && this.stream.write(many, "latin1"));
    }
    this.stream.on("drain", more)
    more()
  }

  drip(bytes: string, everyMillis: number) {
    let next = 0
    const timer = setInterval(() => this.stream.write(bytes[next++ % bytes.length]!, "latin1"), everyMillis)
    this.raw.once("close", () => clearInterval(timer))
  }

  private hear(bytes: string) {
    this.received += bytes
    const heads = this.received.split("\r\n\r\n").length - 1
    while (this.requests < heads) {
      this.requests++
      this.hears.onRequest()
    }
    this.hears.onBytes()
    this.hears.changed()
  }
}
