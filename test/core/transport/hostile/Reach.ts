import { ConnectFailed, InvalidResponse, type Reason, Timeout } from "@breakwater/core/VendorError"
import { Effect } from "effect"
import { answer, answering, named, type Row, type Section } from "./Row.ts"

const forbidden = new ConnectFailed("Forbidden")

/** Whoever is asked for a name says these addresses. */
const resolving = (...addresses: ReadonlyArray<string>) => ({ dns: { lookup: () => Effect.succeed(addresses) } })

/** An address that answers nobody here: what is refused is refused before it is asked. */
const refused = (does: string, host: string, transport: Row["transport"] = {}, gets: Reason = forbidden): Row => ({
  does,
  at: Effect.succeed(`https://${host}`),
  transport,
  gets,
  connection: "none"
})

/** Where a name leads, and where it may not. */
export const addresses: Section = {
  title: "Addresses",
  rows: [
    refused("is at this machine, where that is not allowed", "localhost", { loopback: false }),
    refused("is at this machine, written as one number", "2130706433", { loopback: false }),
    refused("is at this machine, written in octal", "0177.0.0.1", { loopback: false }),
    refused("is at this machine, written in hexadecimal", "0x7f.1", { loopback: false }),
    refused("is at this machine, in an IPv6 address that holds one of IPv4", "[::ffff:127.0.0.1]"),
    refused("is at the unspecified address, which is this machine as well", "0.0.0.0"),
    refused("is at the metadata service of a cloud", "169.254.169.254"),
    refused("is at the metadata service of a cloud, by way of NAT64", "[64:ff9b::a9fe:a9fe]"),
    refused("is at a private address", "10.1.2.3"),
    refused("is at a private address of IPv6", "[fd12::1]"),
    refused("is at an address of a provider's own network (CGNAT)", "100.64.0.1"),
    refused("is at a multicast address", "224.0.0.1"),
    refused("has a name that leads to this machine (DNS rebinding)", "shop.example", resolving("127.0.0.1")),
    refused("has a name that leads to the metadata service", "shop.example", resolving("169.254.169.254")),
    refused(
      "has a name that leads to a good address and to a private one",
      "shop.example",
      resolving("1.1.1.1", "10.0.0.1")
    ),
    refused("has a name that leads to what is no address", "shop.example", resolving("shop.example")),
    refused("has a name that leads nowhere", "shop.example", resolving(), new ConnectFailed("Dns")),
    {
      ...refused("has a name server that never answers", "shop.example", { dns: { lookup: () => Effect.never } }),
      gets: new Timeout("Connect", 150),
      limit: ["connectTimeout", 150]
    },
    {
      does: "redirects to the metadata service over https",
      redirects: 1,
      server: answering(answer("", ["location: https://169.254.169.254/latest/meta-data/"], "302 Found")),
      gets: new ConnectFailed("Forbidden", "Unknown"),
      connection: "kept"
    },
    {
      does: "redirects to a private address over http",
      redirects: 1,
      server: answering(answer("", ["location: http://10.0.0.1/"], "302 Found")),
      gets: new InvalidResponse(
        undefined,
        "the redirect cannot be followed: http is only for this machine, with the option `loopback`; use https"
      ),
      connection: "kept"
    },
    {
      does: "redirects to a name that leads to a private address",
      redirects: 1,
      server: answering(answer("", ["location: https://shop.example/"], "307 Temporary Redirect")),
      transport: resolving("10.0.0.1"),
      gets: new ConnectFailed("Forbidden", "Rejected"),
      connection: "kept"
    }
  ]
}

const through = (does: string, row: Omit<Row, "does" | "goesTo" | "transport" | "connection">): Row => ({
  does,
  goesTo: () => "https://shop.example",
  transport: ({ self }) => ({ proxy: new URL(self) }),
  connection: "none",
  ...row
})

const noTunnel = new ConnectFailed("Proxy")

/** The server is the proxy here. */
export const proxies: Section = {
  title: "Proxies",
  rows: [
    through("is a proxy that refuses the tunnel (403)", {
      server: answering(answer("", [], "403 Forbidden")),
      gets: noTunnel
    }),
    through("is a proxy that wants to know who asks (407)", {
      server: answering(answer("", ["proxy-authenticate: Basic realm=\"x\""], "407 Proxy Authentication Required")),
      gets: noTunnel
    }),
    through("is a proxy that answers in place of the vendor", { server: answering(named("evil")), gets: noTunnel }),
    through("is a proxy that speaks before it is spoken to, in the tunnel", {
      server: answering(`HTTP/1.1 200 Connection Established\r\n\r\n${named("evil")}`),
      gets: noTunnel
    }),
    through("is a proxy that says what is not HTTP", { server: answering("SSH-2.0-proxy\r\n"), gets: noTunnel }),
    through("is a proxy that closes the connection", {
      server: { onRequest: (connection) => connection.end() },
      gets: noTunnel
    }),
    through("is a proxy that resets the connection", {
      server: { onRequest: (connection) => connection.reset() },
      gets: noTunnel
    }),
    through("is a proxy that never answers", { gets: new Timeout("Connect", 150), limit: ["connectTimeout", 150] }),
    through("is a proxy that opens a tunnel and says nothing in it", {
      server: answering("HTTP/1.1 200 Connection Established\r\n\r\n"),
      gets: new Timeout("Connect", 150),
      limit: ["connectTimeout", 150]
    }),
    through("is a proxy that opens a tunnel and speaks no TLS in it", {
      server: {
        onRequest: (connection) => connection.write("HTTP/1.1 200 Connection Established\r\n\r\n"),
        onBytes: (connection) => {
          if (!connection.received.endsWith("\r\n\r\n")) connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
        }
      },
      gets: new ConnectFailed("Tls")
    }),
    through("is a proxy that floods in place of an answer", {
      server: { onRequest: (connection) => connection.flood("HTTP/1.1 200 OK\r\nx-more: and more\r\n") },
      gets: noTunnel,
      isLarge: true
    })
  ]
}
