/** A row of the table of hostile behaviours: the server's behaviour and the call's outcome. */
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
  /** Those of a second server, which responds correctly unless `elsewhere` scripts it. */
  readonly other: string
}

export interface Row {
  /** The server's behaviour, as a predicate. */
  readonly does: string
  /** The outcome of the call. */
  readonly gets: Item | Reason
  /** The script of the server. @default it does nothing */
  readonly server?: Behaviour | ((world: World) => Behaviour)
  /** A base URL to call instead of the server. */
  readonly at?: Effect.Effect<string, never, Scope.Scope>
  /** The base URL of the call. @default the server itself */
  readonly goesTo?: (world: World) => string
  /** The limit of the policy that ends the call, in milliseconds. @default none: it ends by itself */
  readonly limit?: readonly [name: keyof Policy.Policy, millis: number]
  /**
   * The fate of the connection: `closed`, so the next call opens another; `kept`, so the next call reuses it;
   * `none`, without a next call. @default "closed"
   */
  readonly connection?: "closed" | "kept" | "none"
  /** Acts on the idle connection after a first, healthy call. */
  readonly whileIdle?: (connection: Connection) => void
  /** The call: `find` reads, `order` writes with an idempotency key, `ship` writes without. @default "find" */
  readonly call?: "find" | "order" | "ship" | "probe"
  /** How many requests reach the server. @default 1 */
  readonly requests?: number
  readonly policy?: Policy.Policy
  readonly redirects?: number
  /** @default with `loopback`, and without a proxy */
  readonly transport?:
    | UndiciTransport.UndiciTransportOptions
    | ((world: World) => UndiciTransport.UndiciTransportOptions)
  readonly tls?: Tls
  /** The script of the second server. */
  readonly elsewhere?: Behaviour
  /** How many requests reach the second server. @default 0 */
  readonly requestsElsewhere?: number
  /** Whether to check that memory stays bounded. @default false */
  readonly isLarge?: boolean
}

export interface Section {
  readonly title: string
  readonly rows: ReadonlyArray<Row>
}

export const ok = "HTTP/1.1 200 OK\r\n"

/** A complete, correct response. */
export const answer = (
  body: string,
  headers: ReadonlyArray<string> = ["content-type: application/json"],
  status = "200 OK"
): string =>
  [`HTTP/1.1 ${status}`, ...headers, `content-length: ${Buffer.byteLength(body, "latin1")}`, "", body].join("\r\n")

/** A correct response about an item. */
export const named = (name: string): string => answer(JSON.stringify({ name }))

/** Writes these bytes on every request. */
export const answering = (...bytes: ReadonlyArray<string>): Behaviour => ({
  onRequest: (connection) => {
    for (const piece of bytes) connection.write(piece)
  }
})

/** Writes these bytes, and closes the connection. */
export const ending = (bytes: string): Behaviour => ({ onRequest: (connection) => connection.end(bytes) })

/** Writes `head`, and then `flood` without an end. */
export const flooding = (head: string, flood: string): Behaviour => ({
  onRequest: (connection) => {
    connection.write(head)
    connection.flood(flood)
  }
})

/** Writes `head`, and then `drip` a character at a time. */
export const dripping = (head: string, drip: string, everyMillis = 5): Behaviour => ({
  onRequest: (connection) => {
    connection.write(head)
    connection.drip(drip, everyMillis)
  }
})
