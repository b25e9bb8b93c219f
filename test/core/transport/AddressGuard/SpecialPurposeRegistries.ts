/**
 * The IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), with their allocations up to October
 * 2025: block, name, the RFC that requested it, and the column "Globally Reachable".
 */
export type Row = readonly [block: string, name: string, source: string, reachable: "True" | "False" | "N/A"]

export const ipv4: ReadonlyArray<Row> = [
  ["0.0.0.0/8", "\"This network\"", "RFC 791", "False"],
  ["0.0.0.0/32", "\"This host on this network\"", "RFC 1122", "False"],
  ["10.0.0.0/8", "Private-Use", "RFC 1918", "False"],
  ["100.64.0.0/10", "Shared Address Space", "RFC 6598", "False"],
  ["127.0.0.0/8", "Loopback", "RFC 1122", "False"],
  ["169.254.0.0/16", "Link Local", "RFC 3927", "False"],
  ["172.16.0.0/12", "Private-Use", "RFC 1918", "False"],
  ["192.0.0.0/24", "IETF Protocol Assignments", "RFC 6890", "False"],
  ["192.0.0.0/29", "IPv4 Service Continuity Prefix", "RFC 7335", "False"],
  ["192.0.0.8/32", "IPv4 dummy address", "RFC 7600", "False"],
  ["192.0.0.9/32", "Port Control Protocol Anycast", "RFC 7723", "True"],
  ["192.0.0.10/32", "Traversal Using Relays around NAT Anycast", "RFC 8155", "True"],
  ["192.0.0.170/32", "NAT64/DNS64 Discovery", "RFC 8880, RFC 7050", "False"],
  ["192.0.0.171/32", "NAT64/DNS64 Discovery", "RFC 8880, RFC 7050", "False"],
  ["192.0.2.0/24", "Documentation (TEST-NET-1)", "RFC 5737", "False"],
  ["192.31.196.0/24", "AS112-v4", "RFC 7535", "True"],
  ["192.52.193.0/24", "AMT", "RFC 7450", "True"],
  ["192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", "RFC 7526", "N/A"],
  ["192.88.99.2/32", "6a44-relay anycast address", "RFC 6751", "False"],
  ["192.168.0.0/16", "Private-Use", "RFC 1918", "False"],
  ["192.175.48.0/24", "Direct Delegation AS112 Service", "RFC 7534", "True"],
  ["198.18.0.0/15", "Benchmarking", "RFC 2544", "False"],
  ["198.51.100.0/24", "Documentation (TEST-NET-2)", "RFC 5737", "False"],
  ["203.0.113.0/24", "Documentation (TEST-NET-3)", "RFC 5737", "False"],
  ["240.0.0.0/4", "Reserved", "RFC 1112", "False"],
  ["255.255.255.255/32", "Limited Broadcast", "RFC 8190, RFC 919", "False"]
]

export const ipv6: ReadonlyArray<Row> = [
  ["::1/128", "Loopback Address", "RFC 4291", "False"],
  ["::/128", "Unspecified Address", "RFC 4291", "False"],
  ["::ffff:0:0/96", "IPv4-mapped Address", "RFC 4291", "False"],
  ["64:ff9b::/96", "IPv4-IPv6 Translat.", "RFC 6052", "True"],
  ["64:ff9b:1::/48", "IPv4-IPv6 Translat.", "RFC 8215", "False"],
  ["100::/64", "Discard-Only Address Block", "RFC 6666", "False"],
  ["100:0:0:1::/64", "Dummy IPv6 Prefix", "RFC 9780", "False"],
  ["2001::/23", "IETF Protocol Assignments", "RFC 2928", "False"],
  ["2001::/32", "TEREDO", "RFC 4380, RFC 8190", "N/A"],
  ["2001:1::1/128", "Port Control Protocol Anycast", "RFC 7723", "True"],
  ["2001:1::2/128", "Traversal Using Relays around NAT Anycast", "RFC 8155", "True"],
  ["2001:1::3/128", "DNS-SD Service Registration Protocol Anycast", "RFC 9665", "True"],
  ["2001:2::/48", "Benchmarking", "RFC 5180", "False"],
  ["2001:3::/32", "AMT", "RFC 7450", "True"],
  ["2001:4:112::/48", "AS112-v6", "RFC 7535", "True"],
  ["2001:10::/28", "Deprecated (previously ORCHID)", "RFC 4843", "N/A"],
  ["2001:20::/28", "ORCHIDv2", "RFC 7343", "True"],
  ["2001:30::/28", "Drone Remote ID Protocol Entity Tags (DETs) Prefix", "RFC 9374", "True"],
  ["2001:db8::/32", "Documentation", "RFC 3849", "False"],
  ["2002::/16", "6to4", "RFC 3056", "N/A"],
  ["2620:4f:8000::/48", "Direct Delegation AS112 Service", "RFC 7534", "True"],
  ["3fff::/20", "Documentation", "RFC 9637", "False"],
  ["5f00::/16", "Segment Routing (SRv6) SIDs", "RFC 9602", "False"],
  ["fc00::/7", "Unique-Local", "RFC 4193, RFC 8190", "False"],
  ["fe80::/10", "Link-Local Unicast", "RFC 4291", "False"]
]

/**
 * The registries of address space and of multicast: IANA IPv4 Multicast Address Space Registry (RFC
 * 5771), IPv6 address types (RFC 4291), and that global unicast is allocated from 2000::/3 alone (IANA Internet Protocol
 * Version 6 Address Space).
 */
export const beside: ReadonlyArray<Row> = [
  ["224.0.0.0/4", "Multicast", "RFC 5771", "False"],
  ["::/96", "IPv4-compatible", "RFC 4291", "False"],
  ["fec0::/10", "Site-local", "RFC 3879", "False"],
  ["ff00::/8", "Multicast", "RFC 4291", "False"],
  ["::/3", "Reserved by IETF, but for what is listed", "RFC 4291", "False"],
  ["4000::/2", "Reserved by IETF", "RFC 4291", "False"],
  ["8000::/1", "Reserved by IETF, but for what is listed", "RFC 4291", "False"]
]
