/**
 * Selects the proxy to a host, from the environment or the operator's setting. Only `https` goes through a proxy, in a
 * tunnel (`CONNECT`) that carries TLS with the vendor itself. This machine is always reached directly.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as BasicAuth from "./BasicAuth.ts"
import * as HttpUrl from "./HttpUrl.ts"
import { isHere } from "./Loopback.ts"
import { TransportMisconfigured } from "./Transport.ts"

/**
 * - `"environment"`: `https_proxy`, or else `all_proxy`, except for the hosts in `no_proxy`. Each name is also read in
 * capitals; lower case wins. `no_proxy` lists hosts (which include their subdomains), `*.example.com`, addresses,
 * blocks
 *   or `*`, each with `:port` to limit it to one port.
 * - a URL: that proxy for every host. A URL with a user or password must be `Redacted`.
 * - `false`: no proxy, regardless of the environment.
 */
export type ProxySetting = "environment" | URL | Redacted.Redacted<URL> | false

export interface Proxy {
  /** Host name or address, without brackets. */
  readonly hostname: string
  readonly port: number
  /** Whether the connection to the proxy itself uses TLS. */
  readonly isTls: boolean
  /** The value of `Proxy-Authorization`. */
  readonly authorization: Redacted.Redacted | undefined
}

/** The proxy to a host (without brackets); `undefined` for a direct connection. */
export type Route = (hostname: string, port: number) => Proxy | undefined

/** Selects proxies by a setting. Throws if a URL is not that of a proxy. */
export const route = (setting: ProxySetting = "environment"): Effect.Effect<Route, TransportMisconfigured> => {
  if (setting === "environment") return fromEnvironment
  if (setting === false) return Effect.succeed(() => undefined)
  const url = Redacted.isRedacted(setting) ? Redacted.value(setting) : setting
  if (!Redacted.isRedacted(setting) && HttpUrl.hasUserInfo(url)) {
    throw new Error("Proxy: a URL with a user or password in it must be Redacted")
  }
  const proxy = read(url)
  if (proxy === undefined) throw new Error("Proxy: must be an http or https URL without path, query or fragment")
  return Effect.succeed(exceptHere(() => proxy))
}

const exceptHere = (through: Route): Route => (hostname, port) => isHere(hostname) ? undefined : through(hostname, port)

const fromEnvironment: Effect.Effect<Route, TransportMisconfigured> = Effect.gen(function*() {
  const [name, setting] = (yield* firstOf("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")) ?? []
  if (setting === undefined) return () => undefined
  const text = Redacted.value(setting)
  const proxy = read(URL.parse(text.includes("://") ? text : `http://${text}`))
  if (proxy === undefined) {
    return yield* new TransportMisconfigured({
      message: `${name} must be an http or https URL without path, query or fragment, or unset`
    })
  }
  const [, exceptions] = (yield* firstOf("no_proxy", "NO_PROXY")) ?? []
  const isExcepted = exceptions === undefined ? () => false : exceptionsIn(Redacted.value(exceptions))
  return exceptHere((hostname, port) => isExcepted(hostname, port) ? undefined : proxy)
})

/** The first variable that is set and not empty. */
const firstOf = (...names: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    for (const name of names) {
      const setting = yield* Effect.mapError(
        Config.option(Config.Redacted(name)),
        () => new TransportMisconfigured({ message: `${name} could not be read` })
      )
      if (Option.isSome(setting) && Redacted.value(setting.value).trim() !== "") return [name, setting.value] as const
    }
    return undefined
  })

const read = (url: URL | null): Proxy | undefined => {
  if (url === null || !/^https?:$/.test(url.protocol) || url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return undefined
  }
  const isTls = url.protocol === "https:"
  return {
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: HttpUrl.portOf(url),
    isTls,
    authorization: HttpUrl.hasUserInfo(url)
      ? Redacted.make(BasicAuth.encode(decoded(url.username), decoded(url.password)))
      : undefined
  }
}

/** Decodes percent-encoding; a malformed text stays as it is. */
const decoded = (text: string): string => Result.getOrElse(Result.try(() => decodeURIComponent(text)), () => text)

const exceptionsIn = (text: string): (hostname: string, port: number) => boolean => {
  const exceptions = text.split(/[,\s]+/).filter((entry) => entry !== "").map(exception)
  return (hostname, port) => {
    const host = withoutDot(hostname.toLowerCase())
    return exceptions.some((isMeant) => isMeant(host, port))
  }
}

const exception = (entry: string): (host: string, port: number) => boolean => {
  // A port follows a name, an IPv4 address or brackets; an IPv6 address without brackets has no port.
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry) ??
    [undefined, undefined, entry]
  const isPort = (at: number) => port === undefined || Number(port) === at
  const what = withoutDot((bracketed ?? plain ?? entry).toLowerCase())
  if (what === "*") return (_host, at) => isPort(at)
  const network = what.includes("/")
    ? IpNetwork.fromString(what)
    : Result.map(
      NetAddress.ipFromString(what),
      (address) => IpNetwork.makeUnsafe<NetAddress.IpAddress>(address, NetAddress.width(address))
    )
  if (Result.isSuccess(network)) {
    return (host, at) => {
      const address = NetAddress.ipFromString(host)
      return isPort(at) && Result.isSuccess(address) && IpNetwork.contains(network.success, address.success)
    }
  }
  const domain = what.replace(/^\*?\./, "")
  const isOnlyBelow = what.startsWith("*.")
  return (host, at) => isPort(at) && ((!isOnlyBelow && host === domain) || host.endsWith(`.${domain}`))
}

const withoutDot = (host: string): string => host.replace(/(?<=.)\.$/, "")
