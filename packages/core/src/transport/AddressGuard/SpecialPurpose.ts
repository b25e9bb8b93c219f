/**
 * The purpose of an address, by the registries of IANA: the IPv4 and the IPv6 Special-Purpose Address Registry (RFC
 * 6890, RFC 8190; rows as of October 2025), the multicast and the IPv6 address space registries. The metadata addresses
 * of clouds are listed as well.
 */
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"

export interface Block {
  readonly network: IpNetwork.IpNetwork
  readonly purpose: string
  /** Whether its addresses are reachable beyond one administrative domain. */
  readonly isGloballyReachable: boolean
  /** Whether its address serves credentials to any process on the machine. */
  readonly isMetadata: boolean
}

/** The smallest block that contains an address. */
export const blockOf = (address: NetAddress.IpAddress): Block =>
  (NetAddress.isIpv4Address(address) ? ipv4 : ipv6).find(({ network }) => IpNetwork.contains(network, address))!

/** The network of a single address. */
export const single = (address: NetAddress.IpAddress): IpNetwork.IpNetwork =>
  IpNetwork.makeUnsafe<NetAddress.IpAddress>(address, NetAddress.width(address))

type Row = readonly [block: string, purpose: string, isGloballyReachable: boolean]

const rows: ReadonlyArray<Row> = [
  ["0.0.0.0/0", "unicast", true],
  ["0.0.0.0/8", "this network (RFC 791)", false],
  ["0.0.0.0/32", "unspecified (RFC 1122)", false],
  ["10.0.0.0/8", "private use (RFC 1918)", false],
  ["100.64.0.0/10", "shared address space of carriers (RFC 6598)", false],
  ["127.0.0.0/8", "loopback (RFC 1122)", false],
  ["169.254.0.0/16", "link-local (RFC 3927)", false],
  ["172.16.0.0/12", "private use (RFC 1918)", false],
  ["192.0.0.0/24", "protocol assignments (RFC 6890)", false],
  ["192.0.0.0/29", "service continuity (RFC 7335)", false],
  ["192.0.0.8/32", "dummy address (RFC 7600)", false],
  ["192.0.0.9/32", "port control anycast (RFC 7723)", true],
  ["192.0.0.10/32", "TURN anycast (RFC 8155)", true],
  ["192.0.0.170/32", "NAT64 discovery (RFC 8880)", false],
  ["192.0.0.171/32", "NAT64 discovery (RFC 8880)", false],
  ["192.0.2.0/24", "documentation (RFC 5737)", false],
  ["192.31.196.0/24", "AS112 (RFC 7535)", true],
  ["192.52.193.0/24", "AMT (RFC 7450)", true],
  // Deprecated; the registry does not say, so it counts as not reachable.
  ["192.88.99.0/24", "6to4 relay anycast (RFC 7526)", false],
  ["192.88.99.2/32", "6a44 relay anycast (RFC 6751)", false],
  ["192.168.0.0/16", "private use (RFC 1918)", false],
  ["192.175.48.0/24", "AS112 (RFC 7534)", true],
  ["198.18.0.0/15", "benchmarking (RFC 2544)", false],
  ["198.51.100.0/24", "documentation (RFC 5737)", false],
  ["203.0.113.0/24", "documentation (RFC 5737)", false],
  ["224.0.0.0/4", "multicast (RFC 5771)", false],
  ["240.0.0.0/4", "reserved (RFC 1112)", false],
  ["255.255.255.255/32", "broadcast (RFC 919)", false],

  ["::/0", "reserved by the IETF (RFC 4291)", false],
  ["2000::/3", "global unicast (RFC 4291)", true],
  ["::/96", "IPv4-compatible (RFC 4291)", false],
  ["::/128", "unspecified (RFC 4291)", false],
  ["::1/128", "loopback (RFC 4291)", false],
  ["::ffff:0:0/96", "IPv4-mapped (RFC 4291)", false],
  ["::ffff:0:0:0/96", "IPv4-translated (RFC 2765)", false],
  ["64:ff9b::/96", "NAT64 (RFC 6052)", true],
  ["64:ff9b:1::/48", "local NAT64 (RFC 8215)", false],
  ["100::/64", "discard (RFC 6666)", false],
  ["100:0:0:1::/64", "dummy prefix (RFC 9780)", false],
  ["2001::/23", "protocol assignments (RFC 2928)", false],
  // "N/A" in the registry, so it counts as not reachable.
  ["2001::/32", "Teredo (RFC 4380)", false],
  ["2001:1::1/128", "port control anycast (RFC 7723)", true],
  ["2001:1::2/128", "TURN anycast (RFC 8155)", true],
  ["2001:1::3/128", "service registration anycast (RFC 9665)", true],
  ["2001:2::/48", "benchmarking (RFC 5180)", false],
  ["2001:3::/32", "AMT (RFC 7450)", true],
  ["2001:4:112::/48", "AS112 (RFC 7535)", true],
  ["2001:10::/28", "ORCHID (RFC 4843)", false],
  ["2001:20::/28", "ORCHIDv2 (RFC 7343)", true],
  ["2001:30::/28", "drone identification (RFC 9374)", true],
  ["2001:db8::/32", "documentation (RFC 3849)", false],
  // "N/A" in the registry, so it counts as not reachable.
  ["2002::/16", "6to4 (RFC 3056)", false],
  ["2620:4f:8000::/48", "AS112 (RFC 7534)", true],
  ["3fff::/20", "documentation (RFC 9637)", false],
  ["5f00::/16", "SRv6 segments (RFC 9602)", false],
  ["fc00::/7", "unique local (RFC 4193)", false],
  ["fe80::/10", "link-local (RFC 4291)", false],
  ["fec0::/10", "site-local (RFC 3879)", false],
  ["ff00::/8", "multicast (RFC 4291)", false]
]

/** Sources: the documentation of each cloud, and the data sources of cloud-init. */
const metadata: ReadonlyArray<readonly [address: string, cloud: string]> = [
  ["169.254.169.254", "AWS, Google Cloud, Azure, Oracle, OpenStack and others"],
  ["169.254.170.2", "AWS ECS tasks"],
  ["169.254.170.23", "AWS EKS pods"],
  ["169.254.0.23", "Tencent Cloud"],
  ["169.254.42.42", "Scaleway"],
  // A public address, so only this list identifies it.
  ["168.63.129.16", "Azure's host agent"],
  ["100.100.100.200", "Alibaba Cloud"],
  ["192.0.0.192", "Oracle Cloud Classic"],
  ["fd00:ec2::254", "AWS"],
  ["fd00:ec2::23", "AWS EKS pods"],
  ["fd20:ce::254", "Google Cloud"],
  ["fd00:c1::a9fe:a9fe", "Oracle Cloud"],
  ["fd00:a9fe:a9fe::1", "Akamai"],
  ["fd00:42::42", "Scaleway"],
  ["fe80::a9fe:a9fe", "OpenStack"]
]

const blocks: ReadonlyArray<Block> = [
  ...metadata.map(([address, cloud]): Block => ({
    network: single(NetAddress.ipFromStringUnsafe(address)),
    purpose: `metadata service (${cloud})`,
    isGloballyReachable: false,
    isMetadata: true
  })),
  ...rows.map(([block, purpose, isGloballyReachable]): Block => ({
    network: IpNetwork.fromStringUnsafe(block),
    purpose,
    isGloballyReachable,
    isMetadata: false
  })).toSorted((a, b) => b.network.prefixLength - a.network.prefixLength)
]

const ipv4 = blocks.filter(({ network }) => IpNetwork.isIpv4Network(network))
const ipv6 = blocks.filter(({ network }) => IpNetwork.isIpv6Network(network))
