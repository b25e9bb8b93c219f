/**
 * Opens connections, and is the only code that does: checks the address, asks for the proxy and verifies the
 * certificate, all within one time limit. A request that reuses a connection skips all of this.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { isIP, type LookupFunction, type Socket } from "node:net"
import type { buildConnector as Undici } from "undici"
import { ConnectFailed, InvalidRequest, type Reason } from "../../Reason.ts"
import { type AddressGuard, lackOf } from "../AddressGuard.ts"
import * as HttpUrl from "../HttpUrl.ts"
import { isHere } from "../Loopback.ts"
import { NoConnection } from "../NoConnection.ts"
import type { Route } from "../Proxy.ts"
import type { Resolver } from "../Resolver.ts"
import type { Tls } from "../Tls.ts"
import * as Tunnel from "./Tunnel.ts"
import { buildConnector, errors } from "./Undici.ts"

export interface Parts {
  readonly guard: AddressGuard
  readonly resolver: Resolver
  readonly route: Route
  readonly tls: Tls
  readonly http2: boolean
  readonly maxHeaderBytes: number
  /** The services for resolving names. */
  readonly context: Context.Context<never>
}

type Told = (...outcome: [error: null, socket: Socket] | [error: Error, socket: null]) => void
/** undici's connector returns its socket, which its types do not declare (8.12). */
type Connect = (target: Undici.Options, told: Undici.Callback) => Socket

export class Connector {
  private readonly parts: Parts
  private readonly connect: Connect
  private readonly attempts = new Set<Attempt>()
  private readonly lookups = new Set<Fiber.Fiber<unknown, unknown>>()

  constructor(parts: Parts) {
    this.parts = parts
    this.connect = buildConnector({
      ...parts.tls.vendor,
      allowH2: parts.http2,
      preferH2: parts.http2,
      maxCachedSessions: parts.tls.resumesSessions ? 100 : 0,
      autoSelectFamily: true,
      lookup: this.lookup,
      // The attempt has its own timer, which also covers the tunnel.
      timeout: 0
    } as Undici.BuildOptions) as Connect
  }

  /** Makes connections, each within a time limit. */
  within(timeoutMillis: number): Undici.connector {
    return (target, callback) => {
      const told: Told = callback
      const { hostname, protocol } = target
      const port = HttpUrl.portOf(target)
      const refusal = this.refusal(target)
      if (refusal !== undefined) return queueMicrotask(() => told(new NoConnection(refusal), null))
      const attempt: Attempt = new Attempt(timeoutMillis, (...outcome) => {
        this.attempts.delete(attempt)
        told(...outcome)
      })
      this.attempts.add(attempt)
      // The URL alone decides the expected certificate. undici would take the name from a Host header.
      const direct = { ...target, servername: isIP(hostname) === 0 ? hostname.replace(/\.$/, "") : "" }
      const proxy = protocol === "https:" ? this.parts.route(hostname, port) : undefined
      if (proxy === undefined) return attempt.go((end) => this.connect(direct, end))
      attempt.go((end) =>
        Tunnel.open(proxy, { hostname, port }, this.parts.tls.proxy, this.parts.maxHeaderBytes, (httpSocket) => {
          if (httpSocket === undefined) return end(new NoConnection(new ConnectFailed("Proxy")), null)
          attempt.go(() => this.connect({ ...direct, httpSocket }, end))
        })
      )
    }
  }

  /** Gives up all pending connections. */
  abandon(why: Error): void {
    for (const attempt of this.attempts) attempt.abandon(why)
    for (const lookup of this.lookups) lookup.interruptUnsafe()
  }

  private refusal({ hostname, port, protocol }: Undici.Options): Reason | undefined {
    const { guard } = this.parts
    const lack = lackOf(guard, { hostname, port, protocol })
    if (lack !== undefined) return new InvalidRequest(lack)
    // A literal address is judged without a resolver.
    const isRefused = isIP(hostname) === 0 ? isHere(hostname) && !guard.loopback : guard.refusal(hostname) !== undefined
    return isRefused ? new ConnectFailed("Forbidden") : undefined
  }

  private readonly lookup: LookupFunction = (hostname, options, callback) => {
    const resolving = Effect.runForkWith(this.parts.context)(this.parts.resolver.addresses(hostname))
    this.lookups.add(resolving)
    resolving.addObserver((exit) => {
      this.lookups.delete(resolving)
      if (Exit.isFailure(exit)) {
        return callback(
          new NoConnection(Option.getOrElse(Exit.findErrorOption(exit), () => new ConnectFailed("Dns"))),
          ""
        )
      }
      const found = exit.value.map((address) => ({ address, family: isIP(address) }))
      if (options.all === true) callback(null, found)
      else callback(null, found[0]!.address, found[0]!.family)
    })
  }
}

/** One pending connection, over one socket or, through a proxy, two. */
/** A timer that fires later than this shows that the event loop was blocked. */
const blockedAfterMillis = 50

class Attempt {
  private readonly told: Told
  private timer: NodeJS.Timeout
  private socket: Socket | undefined = undefined
  private isOver = false

  constructor(timeoutMillis: number, told: Told) {
    this.told = told
    // undici calls back; a fiber per connection would measure the same time.
    this.timer = this.limit(timeoutMillis)
  }
  private limit(millis: number): NodeJS.Timeout {
    const due = performance.now() + millis
    return setTimeout(() => {
      const late = performance.now() - due
      // The event loop was blocked: that time was ours, and the vendor's response may be waiting to be read.
      if (late > blockedAfterMillis) return void (this.timer = this.limit(late))
      this.end(new errors.ConnectTimeoutError(), null)
      this.socket?.destroy()
    }, millis)
  }
  go(connect: (end: Told) => Socket): void {
    this.socket = connect((...outcome) => this.end(...outcome))
  }
  abandon(why: Error): void {
    this.socket?.destroy(why)
  }
  private end(...outcome: Parameters<Told>): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.timer)
    this.told(...outcome)
  }
}
