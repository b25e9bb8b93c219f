import { ConnectFailed, InvalidResponse, type Reason, Timeout } from "@breakwater/core/VendorError"
import { Effect } from "effect"
import { answer, answering, named, type Row, type Section } from "./Row.ts"

const forbidden = new ConnectFailed("Forbidden")

/** A lookup that returns these addresses. */
const resolving = (...addresses: ReadonlyArray<string>) => ({ dns: { lookup: () => Effect.succeed(addresses) } })

/** A base URL without a server: the call must be refused before it connects. */
const refused = (does: string, host: string, transport: Row["transport"] = {}, gets: Reason = forbidden): Row => ({
  does,
  at: Effect.succeed(`https://${host}`),
  transport,
  gets,
  connection: "none"
})

/** Forbidden addresses, and names that lead to them. */
export const addresses: Section = {
  title: "Addresses",
  rows: [
    refused("is on this machine, which is not allowed", "localhost", { loopback: false }),
    refused("is on this machine, written as one number", "2130706433", { loopback: false }),
    refused("is on this machine, written in octal", "0177.0.0.1", { loopback: false }),
    refused("is on this machine, written in hexadecimal", "0x7f.1", { loopback: false }),
    refused("is on this machine, as an IPv4 address inside an IPv6 address", "[::ffff:127.0.0.1]"),
    refused("is at the unspecified address, which means this machine too", "0.0.0.0"),
    refused("is at the metadata service of a cloud", "169.254.169.254"),
    refused("is at the metadata service of a cloud, through NAT64", "[64:ff9b::a9fe:a9fe]"),
    refused("is at a private address", "10.1.2.3"),
    refused("is at a private IPv6 address", "[fd12::1]"),
    refused("is at an address of a provider's own network (CGNAT)", "100.64.0.1"),
    refused("is at a multicast address", "224.0.0.1"),
    refused("has a name that leads to this machine (DNS rebinding)", "shop.example", resolving("127.0.0.1")),
    refused("has a name that leads to the metadata service", "shop.example", resolving("169.254.169.254")),
    refused(
      "has a name that leads to a public address and to a private one",
      "shop.example",
      resolving("1.1.1.1", "10.0.0.1")
    ),
    refused("has a name whose lookup returns no address", "shop.example", resolving("shop.example")),
    refused("has a name without addresses", "shop.example", resolving(), new ConnectFailed("Dns")),
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
        "the redirect cannot be followed: plain http needs the host in the transport's option `plainHttp`; use https"
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

/** Here the server is the proxy. */
export const proxies: Section = {
  title: "Proxies",
  rows: [
    through("is a proxy that refuses the tunnel (403)", {
      server: answering(answer("", [], "403 Forbidden")),
      gets: noTunnel
    }),
    through("is a proxy that requires authentication (407)", {
      server: answering(answer("", ["proxy-authenticate: Basic realm=\"x\""], "407 Proxy Authentication Required")),
      gets: noTunnel
    }),
    through("is a proxy that responds in place of the vendor", { server: answering(named("evil")), gets: noTunnel }),
    through("is a proxy that sends a response in the tunnel before any request", {
      server: answering(`HTTP/1.1 200 Connection Established\r\n\r\n${named("evil")}`),
      gets: noTunnel
    }),
    through("is a proxy that does not speak HTTP", { server: answering("SSH-2.0-proxy\r\n"), gets: noTunnel }),
    through("is a proxy that closes the connection", {
      server: { onRequest: (connection) => connection.end() },
      gets: noTunnel
    }),
    through("is a proxy that resets the connection", {
      server: { onRequest: (connection) => connection.reset() },
      gets: noTunnel
    }),
    through("is a proxy that never responds", { gets: new Timeout("Connect", 150), limit: ["connectTimeout", 150] }),
    through("is a proxy that opens a tunnel and sends nothing in it", {
      server: answering("HTTP/1.1 200 Connection Established\r\n\r\n"),
      gets: new Timeout("Connect", 150),
      limit: ["connectTimeout", 150]
    }),
    through("is a proxy that opens a tunnel without TLS in it", {
      server: {
        onRequest: (connection) => connection.write("HTTP/1.1 200 Connection Established\r\n\r\n"),
        onBytes: (connection) => {
          if (!connection.received.endsWith("\r\n\r\n")) connection.write("HTTP/1.1 400 Bad Request\r\n\r\n")
        }
      },
      gets: new ConnectFailed("Tls")
    }),
    through("is a proxy that floods in place of a response", {
      server: { onRequest: (connection) => connection.flood("HTTP/1.1 200 OK\r\nx-more: and more\r\n") },
      gets: noTunnel,
      isLarge: true
    })
  ]
}
