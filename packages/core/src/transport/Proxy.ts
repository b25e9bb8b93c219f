/**
 * Which proxy leads to a host, if any, as the environment or the operator says. Only `https` goes through one, by a
 * tunnel (`CONNECT`) in which TLS is spoken with the vendor itself. Never this machine.
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
 * - `"environment"`: `https_proxy`, or else `all_proxy`, except for what `no_proxy` lists; each also in capitals, and in
 *   small letters first. In `no_proxy`: hosts (and with each what is below it), `*.example.com`, addresses, blocks, `*`, each
 *   with `:port` where it is meant for one port.
 * - a URL: that proxy for every host; with a user or password in it, it must be `Redacted`.
 * - `false`: none, whatever the environment says.
 */
export type ProxySetting = "environment" | URL | Redacted.Redacted<URL> | false

export interface Proxy {
  /** Without brackets. */
  readonly hostname: string
  readonly port: number
  /** Whether TLS is spoken with the proxy itself. */
  readonly isTls: boolean
  /** The value of `Proxy-Authorization`. */
  readonly authorization: Redacted.Redacted | undefined
}

/** The proxy to a host, without brackets; `undefined` when it is reached directly. */
export type Route = (hostname: string, port: number) => Proxy | undefined

/** Reads the environment where it is told to. Throws for a URL that is none of a proxy. */
export const route = (setting: ProxySetting = "environment"): Effect.Effect<Route, TransportMisconfigured> => {
  if (setting === "environment") return fromEnvironment
  if (setting === false) return Effect.succeed(() => undefined)
  const url = Redacted.isRedacted(setting) ? Redacted.value(setting) : setting
  if (!Redacted.isRedacted(setting) && HttpUrl.hasUserInfo(url)) {
    throw new Error("Proxy: a URL with a user or password in it must be Redacted")
  }
  const proxy = read(url)
  if (proxy === undefined) throw new Error("Proxy: must be an http or https URL of a host and no path")
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
      message: `${name} must be an http or https URL of a host and no path, or not be set`
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

/** What is no percent-encoding stands for itself. */
const decoded = (text: string): string => Result.getOrElse(Result.try(() => decodeURIComponent(text)), () => text)

const exceptionsIn = (text: string): (hostname: string, port: number) => boolean => {
  const exceptions = text.split(/[,\s]+/).filter((entry) => entry !== "").map(exception)
  return (hostname, port) => {
    const host = withoutDot(hostname.toLowerCase())
    return exceptions.some((isMeant) => isMeant(host, port))
  }
}

const exception = (entry: string): (host: string, port: number) => boolean => {
  // A port stands behind a name, an IPv4 address, or brackets; an IPv6 address without them has none.
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
