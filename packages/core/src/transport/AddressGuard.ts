/**
 * Decides which addresses the transport may connect to: globally reachable ones, those that the operator allows, and
 * this machine under its own names. It judges addresses, not spellings: names are resolved and URLs parsed beforehand.
 *
 * @example
 * ```ts
 * import { AddressGuard } from "@breakwater/core/transport"
 *
 * const guard = AddressGuard.make({ allow: ["10.1.0.0/16"] })
 * console.log(guard.refusal("8.8.8.8")) // => undefined
 * console.log(guard.refusal("10.1.2.3")) // => undefined
 * console.log(guard.refusal("10.0.0.5")) // => private use (RFC 1918)
 * console.log(guard.refusal("64:ff9b::a9fe:a9fe"))
 * // => metadata service (AWS, Google Cloud, Azure, Oracle, OpenStack and others), in an IPv6 address
 * ```
 */
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { embeddedIn } from "./AddressGuard/Embedded.ts"
import { blockOf, single } from "./AddressGuard/SpecialPurpose.ts"
import * as HttpUrl from "./HttpUrl.ts"
import { isHere, isLocalName } from "./Loopback.ts"

export { isHere } from "./Loopback.ts"

export interface AddressGuardOptions {
  /**
   * Addresses and blocks (`10.1.0.0/16`, `fd12::1`) allowed besides those that are globally reachable. A metadata
   * service is allowed by its own address only, never by a block around it. Loopback, unspecified, multicast and
   * broadcast addresses cannot be allowed.
   * @default none
   */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Addresses and blocks that are always refused; overrides `allow` and `loopback`. @default none */
  readonly deny?: ReadonlyArray<string> | undefined
  /**
   * Allows connections to this machine, over `http` as well as `https`: to a literal loopback address, to `localhost`,
   * or to a name below it. For tests, simulators and sidecars.
   * @default false
   */
  readonly loopback?: boolean | undefined
  /**
   * Hosts with their ports, such as `mock:8080`, that are reached over plain `http` too, and at private addresses
   * (RFC 1918, RFC 4193): a mock beside the service, a sidecar, a service of one's own network. The port of a host
   * without one is 80. Anybody on the way can read and change these requests, secrets included.
   * @default none
   */
  readonly plainHttp?: ReadonlyArray<string> | undefined
}

export interface AddressGuard {
  /** Whether connections to this machine are allowed. */
  readonly loopback: boolean
  /** Whether plain http to a host is allowed: to this machine with `loopback`, or to a host of `plainHttp`. */
  allowsHttp(host: string, port: number): boolean
  /**
   * Why an address is refused; `undefined` if it is allowed. `name` is the name that resolved to the address, if there
   * was one. Loopback is reached by its own names alone, and these names lead nowhere else.
   */
  refusal(address: string, name?: string): string | undefined
}

/**
 * The option that a guard lacks for requests to a URL; `undefined` for https, and for plain http that it allows. The
 * addresses of a name are checked when it is resolved.
 */
export const lackOf = (guard: AddressGuard, url: Pick<URL, "protocol" | "hostname" | "port">): string | undefined => {
  if (url.protocol !== "http:" || guard.allowsHttp(url.hostname, HttpUrl.portOf(url))) return undefined
  return isHere(url.hostname)
    ? "plain http to this machine needs the transport's option `loopback: true`"
    : "plain http needs the host in the transport's option `plainHttp`; use https"
}

/** Throws for a text that is neither address nor block, and for blocks that can never be allowed. */
export const make = (options: AddressGuardOptions = {}): AddressGuard => {
  const loopback = options.loopback ?? false
  const allow = (options.allow ?? []).map((text) => parse("allow", text))
  const deny = (options.deny ?? []).map((text) => parse("deny", text))
  for (const { network, text } of allow) {
    const never = neverAllowed.find(([block]) => IpNetwork.overlaps(block, network))
    if (never !== undefined) throw new Error(`AddressGuard: allow must not include ${never[1]}, got ${text}`)
  }
  const isIn = (networks: ReadonlyArray<{ readonly network: IpNetwork.IpNetwork }>, address: NetAddress.IpAddress) =>
    networks.some(({ network }) => IpNetwork.contains(network, address))

  const plain = (options.plainHttp ?? []).map(plainHost)
  const judge = (address: NetAddress.IpAddress, isPlain: boolean): string | undefined => {
    if (isIn(deny, address)) return "denied by the operator"
    const block = blockOf(address)
    if (!block.isGloballyReachable) {
      const allowed = block.isMetadata ? allow.filter(({ isSingle }) => isSingle) : allow
      const isOwn = isPlain && !block.isMetadata && isIn(ownNetworks, address)
      if (!isOwn && !isIn(allowed, address)) return block.purpose
    }
    if (NetAddress.isIpv4Address(address)) return undefined
    for (const embedded of embeddedIn(address)) {
      const refusal = judge(embedded, false)
      if (refusal !== undefined) return `${refusal}, in an IPv6 address`
    }
    return undefined
  }

  return {
    loopback,
    allowsHttp: (host, port) =>
      isHere(host) ? loopback : plain.some((one) => one.host === canonical(host) && one.port === port),
    refusal(text, name) {
      const parsed = NetAddress.ipFromString(text)
      if (Result.isFailure(parsed)) return "not an address"
      const address = parsed.success
      const isLocal = name === undefined || isLocalName(name)
      if (NetAddress.isLoopback(address) && isLocal && loopback) {
        return isIn(deny, address) ? "denied by the operator" : undefined
      }
      if (name !== undefined && isLocal) return "a name of this machine, which needs `loopback` and a loopback address"
      const host = canonical(name ?? text)
      return judge(address, plain.some((one) => one.host === host))
    }
  }
}

/** A host as every spelling of it is compared: in lower case, without brackets and the dot at its end. */
const canonical = (host: string): string => host.toLowerCase().replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "")

const plainHost = (text: string) => {
  const url = /^[^/?#@\s]+$/.test(text) ? URL.parse(`http://${text}`) : null
  if (url === null) throw new Error(`AddressGuard: plainHttp must be hosts such as mock:8080, got ${text}`)
  if (isHere(url.hostname)) throw new Error(`AddressGuard: the option \`loopback\` is for this machine, got ${text}`)
  return { host: canonical(url.hostname), port: HttpUrl.portOf(url) }
}

/** Private networks: RFC 1918, section 3, and RFC 4193, section 3.1. */
const ownNetworks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"].map((block) => ({
  network: IpNetwork.fromStringUnsafe(block)
}))

const neverAllowed: ReadonlyArray<readonly [IpNetwork.IpNetwork, string]> = ([
  ["127.0.0.0/8", "loopback (the option `loopback` is for it)"],
  ["::1/128", "loopback (the option `loopback` is for it)"],
  ["0.0.0.0/8", "the unspecified address"],
  ["::/128", "the unspecified address"],
  ["224.0.0.0/4", "multicast"],
  ["ff00::/8", "multicast"],
  ["255.255.255.255/32", "broadcast"]
] as const).map(([block, what]) => [IpNetwork.fromStringUnsafe(block), what])

const parse = (option: string, text: string) => {
  const parsed = text.includes("/")
    ? IpNetwork.fromString(text)
    : Result.map(NetAddress.ipFromString(text), single)
  if (Result.isFailure(parsed)) {
    throw new Error(
      `AddressGuard: ${option} must be addresses and blocks such as 10.1.0.0/16, got ${text} (${parsed.failure.message})`
    )
  }
  const network = parsed.success
  return { text, network, isSingle: network.prefixLength === NetAddress.width(network.address) }
}
