/**
 * Decides which addresses may be connected to: those that are reachable from anywhere, those that the operator allows,
 * and this machine when it is asked for by its own name. It judges addresses, not spellings: names are resolved and URLs
 * parsed before.
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
import { isLocalName } from "./Loopback.ts"

export { isHere } from "./Loopback.ts"

export interface AddressGuardOptions {
  /**
   * Addresses and blocks (`10.1.0.0/16`, `fd12::1`) that may be connected to besides those that are globally reachable.
   * A metadata service is allowed by its own address only, never by a block that it is in. No part of loopback,
   * unspecified, multicast or broadcast. @default none
   */
  readonly allow?: ReadonlyArray<string> | undefined
  /** Addresses and blocks that may not be connected to, whatever else is said. @default none */
  readonly deny?: ReadonlyArray<string> | undefined
  /**
   * Whether this machine may be connected to, over `http` as well as `https`: by a loopback address that is written as
   * such, or as `localhost` or a name below it. For tests, simulators and sidecars. @default false
   */
  readonly loopback?: boolean | undefined
}

export interface AddressGuard {
  /** Whether this machine may be connected to. */
  readonly loopback: boolean
  /**
   * Why an address may not be connected to; `undefined` when it may. `name` is what led to it, where that is not the
   * address itself: loopback is reached by its own names alone, and those lead nowhere else.
   */
  refusal(address: string, name?: string): string | undefined
}

/** Throws for what is neither address nor block, and for blocks that are never to be allowed. */
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

  const judge = (address: NetAddress.IpAddress): string | undefined => {
    if (isIn(deny, address)) return "denied by the operator"
    const block = blockOf(address)
    if (!block.isGloballyReachable) {
      const allowed = block.isMetadata ? allow.filter(({ isSingle }) => isSingle) : allow
      if (!isIn(allowed, address)) return block.purpose
    }
    if (NetAddress.isIpv4Address(address)) return undefined
    for (const embedded of embeddedIn(address)) {
      const refusal = judge(embedded)
      if (refusal !== undefined) return `${refusal}, in an IPv6 address`
    }
    return undefined
  }

  return {
    loopback,
    refusal(text, name) {
      const parsed = NetAddress.ipFromString(text)
      if (Result.isFailure(parsed)) return "not an address"
      const address = parsed.success
      const isLocal = name === undefined || isLocalName(name)
      if (NetAddress.isLoopback(address) && isLocal && loopback) {
        return isIn(deny, address) ? "denied by the operator" : undefined
      }
      if (name !== undefined && isLocal) return "a name of this machine, and not its address"
      return judge(address)
    }
  }
}

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
