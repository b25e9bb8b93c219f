/** IPv6 addresses that stand for an IPv4 address, or embed one to which their packets are forwarded. */
import * as NetAddress from "effect/net/NetAddress"

/** The IPv4 addresses embedded in an IPv6 address, in all known forms. */
export const embeddedIn = (address: NetAddress.Ipv6Address): ReadonlyArray<NetAddress.Ipv4Address> => {
  const [a, b, c, d, e, f, g, h] = NetAddress.ipv6ToSegments(address)
  const found: Array<NetAddress.Ipv4Address> = []
  const isZeroUpTo = (...segments: ReadonlyArray<number>) => segments.every((segment) => segment === 0)
  const isTail = isZeroUpTo(a, b, c, d, e, f) // IPv4-compatible (RFC 4291)
    || (isZeroUpTo(a, b, c, d, e) && f === 0xffff) // IPv4-mapped (RFC 4291)
    || (isZeroUpTo(a, b, c, d, f) && e === 0xffff) // IPv4-translated (RFC 2765)
    || (a === 0x64 && b === 0xff9b) // NAT64, the local prefix taken as one of 96 bits (RFC 6052, RFC 8215)
    || ((e & 0xfcff) === 0 && f === 0x5efe) // ISATAP, behind any prefix (RFC 5214)
  if (isTail) found.push(ipv4(g, h))
  if (a === 0x2002) found.push(ipv4(b, c)) // 6to4 (RFC 3056)
  // Teredo: the server, and the client in its complement (RFC 4380).
  if (a === 0x2001 && b === 0) found.push(ipv4(c, d), ipv4(g ^ 0xffff, h ^ 0xffff))
  return found
}

const ipv4 = (high: number, low: number): NetAddress.Ipv4Address =>
  NetAddress.ipv4FromBytesUnsafe(new Uint8Array([high >> 8, high & 0xff, low >> 8, low & 0xff]))
