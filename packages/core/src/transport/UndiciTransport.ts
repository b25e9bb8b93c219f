/**
 * The transport over undici: one dispatch per request, the body in one buffer, every socket released at the end. It
 * connects only to allowed addresses (`AddressGuard`) and to trusted servers (`Tls`). Connections without TLS need the
 * option `loopback` for this machine, or a host in `plainHttp`. Rules for one vendor belong in a transport of that vendor's own.
 * Defaults without a source are our own judgement.
 *
 * @example
 * ```ts
 * import { Vendor } from "@breakwater/core"
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 *
 * const Api = HttpApi.make("acme").add(
 *   HttpApiGroup.make("secrets").add(HttpApiEndpoint.get("steal", "/", { success: Schema.String }))
 * )
 * class Acme extends Vendor.Service<Acme>()({ name: "acme", api: Api, baseUrl: "https://127.0.0.1" }) {}
 *
 * const steal = Effect.flatMap(Acme, ({ secrets }) => Effect.flip(secrets.steal()))
 * const layer = Acme.layer.pipe(Layer.provide(UndiciTransport.layer({ allow: ["10.1.0.0/16"] })))
 * const { reason } = await Effect.runPromise(Effect.provide(steal, layer))
 * console.log(reason.message) // => the vendor's address is not allowed: private, loopback or reserved
 * ```
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as AddressGuard from "./AddressGuard.ts"
import * as MessageLimits from "./MessageLimits.ts"
import * as Proxy from "./Proxy.ts"
import * as Redirect from "./Redirect.ts"
import * as RequestCheck from "./RequestCheck.ts"
import * as Resolver from "./Resolver.ts"
import * as Tls from "./Tls.ts"
import { type Send, Transport, TransportMisconfigured } from "./Transport.ts"
import { type AgentOptions, Agents, maxHeaderBytes } from "./UndiciTransport/Agents.ts"
import { Connector } from "./UndiciTransport/Connector.ts"
import { UndiciExchange } from "./UndiciTransport/UndiciExchange.ts"

export interface UndiciTransportOptions
  extends AgentOptions, AddressGuard.AddressGuardOptions, MessageLimits.MessageOptions
{
  /** TLS settings. @default Node's roots, TLS 1.2 and later, no client certificate, no pins */
  readonly tls?: Tls.TlsOptions | undefined
  /**
   * The proxy to vendors. Its own address is not guarded, because the operator has chosen it. A vendor's literal
   * address is still guarded, but the proxy resolves names, and their addresses are not checked.
   * @default "environment"
   */
  readonly proxy?: Proxy.ProxySetting | undefined
  /** Resolution of the names of vendors and proxies. @default the system's name servers, with a cache of 30 seconds */
  readonly dns?: Resolver.ResolverOptions | undefined
}

/**
 * The transport; its sockets are closed with its scope. Dies if an option is out of its range. Fails if the environment
 * disables certificate verification (`NODE_TLS_REJECT_UNAUTHORIZED=0`) or has an invalid proxy URL, or if the source of
 * the client certificate has none.
 */
export const layer = (options: UndiciTransportOptions = {}): Layer.Layer<Transport, TransportMisconfigured> =>
  Layer.effect(
    Transport,
    Effect.gen(function*() {
      // Node reads this variable from the process, not from the configuration.
      if (process.env["NODE_TLS_REJECT_UNAUTHORIZED"] === "0") return yield* unverified()
      const guard = AddressGuard.make(options)
      const tls = Tls.make(options.tls)
      yield* Effect.mapError(
        tls.vendor,
        () =>
          new TransportMisconfigured({
            message: "the source of the client certificate has none, or its key does not fit"
          })
      )
      const parts = {
        guard,
        resolver: yield* Resolver.make(guard, options.dns),
        proxyResolver: yield* Resolver.make({ refusal: () => undefined }, options.dns),
        route: yield* Proxy.route(options.proxy),
        tls,
        http2: options.http2 ?? false,
        maxHeaderBytes: maxHeaderBytes(options),
        context: yield* Effect.context<never>()
      }
      const agents = yield* Effect.acquireRelease(
        Effect.sync(() => new Agents(options, new Connector(parts), parts.context)),
        (agents) => Effect.promise(() => agents.destroy())
      )
      const limits = MessageLimits.make(options)
      const send: Send = (request, receiver) => {
        const exchange = new UndiciExchange(request, receiver, limits)
        exchange.start(agents.for(request.connectTimeoutMillis))
        return () => exchange.cancel()
      }
      // Every hop of a redirect is checked like the first request.
      return Transport.of({
        send: Redirect.following(RequestCheck.checked(limits, send)),
        refusal: (baseUrl) => AddressGuard.lackOf(guard, baseUrl)
      })
    })
  )

const unverified = () =>
  new TransportMisconfigured({
    message: "NODE_TLS_REJECT_UNAUTHORIZED=0 disables certificate verification. Remove it from the environment; "
      + "for a private certificate authority use the option `tls.ca`"
  })
