/** A row of the table of hostile behaviours: what a server does, and what becomes of the call. */
import type * as Policy from "@breakwater/core/stack/Policy"
import type * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import type { Reason } from "@breakwater/core/VendorError"
import type { Effect, Scope } from "effect"
import type { Behaviour, Connection, Tls } from "../../../fakes/HostileServer.ts"

interface Item {
  readonly name: string
}

/** The servers of a row, once they listen. */
export interface World {
  /** Scheme, host and port of the server itself. */
  readonly self: string
  /** Those of a second server, which answers as it should unless `elsewhere` says otherwise. */
  readonly other: string
}

export interface Row {
  /** What the server does. */
  readonly does: string
  /** What becomes of the call. */
  readonly gets: Item | Reason
  /** Meets the first call. @default nothing is done */
  readonly server?: Behaviour | ((world: World) => Behaviour)
  /** Instead of a server: where the call goes. */
  readonly at?: Effect.Effect<string, never, Scope.Scope>
  /** Where the call goes. @default to the server itself */
  readonly goesTo?: (world: World) => string
  /** Which limit of the policy ends it, in milliseconds. @default none: it ends by itself */
  readonly limit?: readonly [name: keyof Policy.Policy, millis: number]
  /**
   * What becomes of the connection: `closed`, and the next call has one of its own; `kept`, and the next call uses it;
   * `none`, and there is no next call. @default "closed"
   */
  readonly connection?: "closed" | "kept" | "none"
  /** A good call goes before it; then this is done to the idle connection. */
  readonly whileIdle?: (connection: Connection) => void
  /** Which call is made: `find` reads, `order` writes with an idempotency key, `ship` writes without. @default "find" */
  readonly call?: "find" | "order" | "ship" | "probe"
  /** How many requests reach the server. @default 1 */
  readonly requests?: number
  readonly policy?: Policy.Policy
  readonly redirects?: number
  /** @default this machine may be connected to, and no proxy is asked */
  readonly transport?:
    | UndiciTransport.UndiciTransportOptions
    | ((world: World) => UndiciTransport.UndiciTransportOptions)
  readonly tls?: Tls
  /** How the second server behaves. */
  readonly elsewhere?: Behaviour
  /** How many requests reach the second server. @default 0 */
  readonly requestsElsewhere?: number
  /** Whether it is seen that memory stays bounded. @default false */
  readonly isLarge?: boolean
}

export interface Section {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

export const ok = "HTTP/1.1 200 OK\r\n"

/** A whole answer, as it should be. */
export const answer = (
  body: string,
  headers: ReadonlyArray<string> = ["content-type: application/json"],
  status = "200 OK"
): string =>
  [`HTTP/1.1 ${status}`, ...headers, `content-length: ${Buffer.byteLength(body, "latin1")}`, "", body].join("\r\n")

/** An answer about an item, as it should be. */
export const named = (name: string): string => answer(JSON.stringify({ name }))

/** Writes these bytes to whoever asks. */
export const answering = (...bytes: ReadonlyArray<string>): Behaviour => ({
  onRequest: (connection) => {
    for (const piece of bytes) connection.write(piece)
  }
})

/** Writes these bytes, and nothing more. */
export const ending = (bytes: string): Behaviour => ({ onRequest: (connection) => connection.end(bytes) })

/** Writes the one, and then the other without an end. */
export const flooding = (head: string, flood: string): Behaviour => ({
  onRequest: (connection) => {
    connection.write(head)
    connection.flood(flood)
  }
})

/** Writes the one, and then the other a character at a time. */
export const dripping = (head: string, drip: string, everyMillis = 5): Behaviour => ({
  onRequest: (connection) => {
    connection.write(head)
    connection.drip(drip, everyMillis)
  }
})
