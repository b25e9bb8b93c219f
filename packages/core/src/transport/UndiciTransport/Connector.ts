/**
 * Opens connections, and is the only code that does: checks the address, asks for the proxy and verifies the
 * certificate, all within one time limit. A request that reuses a connection skips all of this.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { isIP, type Socket } from "node:net"
import type { ConnectionOptions } from "node:tls"
import type { buildConnector as Undici } from "undici"
import { ConnectFailed, InvalidRequest, type Reason } from "../../Reason.ts"
import * as Timeline from "../../Timeline.ts"
import { type AddressGuard, lackOf } from "../AddressGuard.ts"
import * as HttpUrl from "../HttpUrl.ts"
import { isHere } from "../Loopback.ts"
import { NoConnection } from "../NoConnection.ts"
import type { Route } from "../Proxy.ts"
import type { Resolver } from "../Resolver.ts"
import type { Tls } from "../Tls.ts"
import { dial, type Step } from "./Dial.ts"
import * as Tunnel from "./Tunnel.ts"
import { buildConnector, errors } from "./Undici.ts"

export interface Parts {
  readonly guard: AddressGuard
  readonly resolver: Resolver
  /** Resolves the names of proxies, whose addresses are not guarded. */
  readonly proxyResolver: Resolver
  readonly route: Route
  readonly tls: Tls
  readonly http2: boolean
  readonly maxHeaderBytes: number
  /** The services for resolving names and reading the client certificate. */
  readonly context: Context.Context<never>
}

type Told = (...outcome: [error: null, socket: Socket] | [error: Error, socket: null]) => void
/** undici's connector returns its socket, which its types do not declare (8.12). */
type Connect = (target: Undici.Options, told: Undici.Callback) => Socket

export class Connector {
  private readonly parts: Parts
  /** The connector of the present TLS options, whose sessions are resumed. */
  private connector: { readonly options: ConnectionOptions; readonly connect: Connect } | undefined = undefined
  private readonly attempts = new Set<Attempt>()

  constructor(parts: Parts) {
    this.parts = parts
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
      if (protocol === "https:") return this.secure(attempt, target)
      this.reach(attempt, this.parts.resolver, hostname, port, (outcome) => {
        if (outcome instanceof Error) attempt.end(outcome, null)
        else attempt.end(null, outcome)
      })
    }
  }

  /** Makes a connection with TLS, directly or through a proxy. */
  private secure(attempt: Attempt, target: Undici.Options): void {
    const { maxHeaderBytes, proxyResolver, resolver, route, tls } = this.parts
    const { hostname } = target
    const port = HttpUrl.portOf(target)
    this.run(attempt, tls.vendor, (exit) => {
      if (Exit.isFailure(exit)) return attempt.end(new NoConnection(new ConnectFailed("Tls")), null)
      const secured = (httpSocket: Socket) =>
        // The URL alone decides the expected certificate. undici would take the name from a Host header.
        attempt.go(() =>
          this.connectorOf(exit.value)(
            { ...target, servername: isIP(hostname) === 0 ? hostname.replace(/\.$/, "") : "", httpSocket },
            (...outcome) => attempt.end(...outcome)
          )
        )
      const proxy = route(hostname, port)
      if (proxy === undefined) {
        return this.reach(attempt, resolver, hostname, port, (outcome) => {
          if (outcome instanceof Error) attempt.end(outcome, null)
          else secured(outcome)
        })
      }
      const noTunnel = () => attempt.end(new NoConnection(new ConnectFailed("Proxy")), null)
      this.reach(attempt, proxyResolver, proxy.hostname, proxy.port, (connection) => {
        if (connection instanceof Error) return noTunnel()
        attempt.go(() =>
          Tunnel.open(connection, proxy, { hostname, port }, tls.proxy, maxHeaderBytes, (tunnel) => {
            if (tunnel === undefined) noTunnel()
            else secured(tunnel)
          })
        )
      })
    })
  }

  /** Gives up all pending connections. */
  abandon(why: Error): void {
    for (const attempt of this.attempts) attempt.giveUp(why)
  }

  private refusal({ hostname, port, protocol }: Undici.Options): Reason | undefined {
    const { guard } = this.parts
    const lack = lackOf(guard, { hostname, port, protocol })
    if (lack !== undefined) return new InvalidRequest(lack)
    // A literal address is judged without a resolver.
    const isRefused = isIP(hostname) === 0 ? isHere(hostname) && !guard.loopback : guard.refusal(hostname) !== undefined
    return isRefused ? new ConnectFailed("Forbidden") : undefined
  }

  /** Resolves a name and connects to one of its addresses. */
  private reach(
    attempt: Attempt,
    resolver: Resolver,
    hostname: string,
    port: number,
    told: (outcome: Socket | Error) => void
  ): void {
    const connect = (addresses: ReadonlyArray<string>) => attempt.go(() => dial(addresses, port, told))
    if (isIP(hostname) !== 0) return connect([hostname])
    this.run(attempt, resolver.addresses(hostname), (exit) => {
      if (Exit.isSuccess(exit)) return connect(exit.value)
      told(new NoConnection(Option.getOrElse(Exit.findErrorOption(exit), () => new ConnectFailed("Dns"))))
    })
  }

  /** Enters a step that is an effect. */
  private run<A, E>(attempt: Attempt, effect: Effect.Effect<A, E>, told: (exit: Exit.Exit<A, E>) => void): void {
    const fiber = Effect.runForkWith(this.parts.context)(effect)
    attempt.go(() => ({ destroy: () => fiber.interruptUnsafe() }))
    fiber.addObserver(told)
  }

  /** The connector of these options. With another client certificate no session is resumed. */
  private connectorOf(options: ConnectionOptions): Connect {
    if (this.connector?.options !== options) {
      const { http2, tls } = this.parts
      const connect = buildConnector({
        ...options,
        allowH2: http2,
        preferH2: http2,
        maxCachedSessions: tls.resumesSessions ? 100 : 0,
        // The attempt has its own timer, which also covers the lookup and the tunnel.
        timeout: 0
      } as Undici.BuildOptions) as Connect
      this.connector = { options, connect }
    }
    return this.connector.connect
  }
}

/** A timer that fires later than this shows that the event loop was blocked, in milliseconds. */
const blockedAfterMillis = 50

/** One pending connection: a lookup, a race of addresses, perhaps a tunnel, and TLS, within one limit. */
class Attempt {
  private readonly told: Told
  private timer: Timeline.Timer
  private step: Step | undefined = undefined
  private isOver = false

  constructor(timeoutMillis: number, told: Told) {
    this.told = told
    // undici calls back; a fiber per connection would measure the same time.
    this.timer = this.limit(timeoutMillis)
  }

  /** Enters the next step, unless the attempt is over. */
  go(step: () => Step): void {
    if (!this.isOver) this.step = step()
  }

  end(...outcome: Parameters<Told>): void {
    if (this.isOver) return
    this.isOver = true
    this.timer.cancel()
    this.told(...outcome)
  }

  giveUp(why: Error): void {
    this.end(why, null)
    this.step?.destroy()
  }

  private limit(millis: number): Timeline.Timer {
    const due = performance.now() + millis
    return Timeline.live.after(millis, () => {
      const late = performance.now() - due
      // The event loop was blocked: that time was ours, and the vendor's response may be waiting to be read.
      if (late > blockedAfterMillis) this.timer = this.limit(late)
      else this.giveUp(new errors.ConnectTimeoutError())
    })
  }
}
