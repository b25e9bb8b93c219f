/**
 * The names and addresses of this machine: `localhost` and the names below it (RFC 6761, section 6.3), `127.0.0.0/8`
 * (RFC 1122, section 3.2.1.3) and `::1` (RFC 4291, section 2.5.3). Base URLs, the address guard, the resolver and the
 * proxy share this check, so plain `http` is accepted for exactly the hosts that the transport treats as this machine.
 *
 * An IPv4-mapped address (`::ffff:127.0.0.1`) does not count. The address guard refuses all of them, and nobody needs
 * to write one.
 */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"

/** Whether a host is this machine: one of its names, or a literal loopback address, with or without brackets. */
export const isHere = (host: string): boolean => {
  if (isLocalName(host)) return true
  const address = NetAddress.ipFromString(host.replace(/^\[(.*)\]$/, "$1"))
  return Result.isSuccess(address) && NetAddress.isLoopback(address.success)
}

/** Whether a name belongs to this machine: `localhost`, or a name below it. Decided without a resolver. */
export const isLocalName = (name: string): boolean => /^(?:.+\.)?localhost\.?$/i.test(name)

/**
 * Whether a host is this machine for every HTTP client: `localhost` itself, or a literal loopback address. A resolver may
 * answer for the other names, and only our transport never asks one. Secret sources run on any client, so they accept
 * plain `http` for these alone.
 */
export const isHereForAnyClient = (host: string): boolean =>
  !isLocalName(host) ? isHere(host) : /^localhost$/i.test(host)
