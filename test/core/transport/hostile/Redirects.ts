import { ConnectFailed, ConnectionLost, InvalidResponse, ResponseTooLarge, Timeout } from "@breakwater/core/VendorError"
import { authority } from "../../../fakes/Certificates.ts"
import { answer, answering, dripping, flooding, named, type Section, type World } from "./Row.ts"

const to = (location: string, status = "302 Found", body = "") => answer(body, [`location: ${location}`], status)

const invalid = (issue: string, status = 302) => new InvalidResponse(status, issue)

const vouching = authority()
const trusted = vouching.issue()
const trusting = { tls: { ca: [vouching.certificate] } }

/** Redirects the first request, and responds to all others. */
const once = (location: (world: World) => string, status?: string) => (world: World) => ({
  onRequest: (connection: { readonly write: (bytes: string) => void }, index: number) =>
    connection.write(index === 0 ? to(location(world), status) : named("moved"))
})

export const redirects: Section = {
  title: "Redirects",
  rows: [
    {
      does: "redirects, which the vendor's declaration does not allow",
      server: answering(to("/there")),
      gets: invalid("status 302 is not part of the contract"),
      connection: "kept"
    },
    {
      does: "redirects to its own origin, by path alone",
      redirects: 1,
      server: once(() => "/there?a=b#c"),
      gets: { name: "moved" },
      requests: 2,
      connection: "kept"
    },
    {
      does: "redirects in a circle",
      redirects: 3,
      server: answering(to("/item")),
      gets: invalid("redirected more than 3 times"),
      requests: 4
    },
    {
      does: "redirects a read to another origin, which gets no credential",
      redirects: 1,
      server: ({ other }) => answering(to(`${other}/there`)),
      gets: { name: "elsewhere" },
      requestsElsewhere: 1,
      connection: "kept"
    },
    {
      does: "redirects to another origin and back, without the credential",
      redirects: 2,
      server: once(({ other }) => `${other}/there`),
      elsewhere: {
        onRequest: (connection) => connection.write(to(connection.received.includes("there") ? "/end" : "/"))
      },
      gets: invalid("redirected more than 2 times"),
      requestsElsewhere: 2,
      connection: "kept"
    },
    {
      does: "redirects a write to another origin (307)",
      call: "order",
      redirects: 1,
      server: ({ other }) => answering(to(`${other}/there`, "307 Temporary Redirect")),
      gets: invalid("redirected with a write to another origin", 307)
    },
    {
      does: "permanently redirects a write to another origin (308)",
      call: "order",
      redirects: 1,
      server: ({ other }) => answering(to(`${other}/there`, "308 Permanent Redirect")),
      gets: invalid("redirected with a write to another origin", 308)
    },
    {
      does: "redirects a write to another path (307)",
      call: "order",
      redirects: 1,
      server: {
        onRequest: (connection, index) =>
          connection.write(
            index === 0
              ? to("/there", "307 Temporary Redirect")
              : named(
                /POST \/there [^]*Idempotency-Key: order-7\r\n[^]*\{"amount":7\}$/.test(connection.received)
                  ? "repeated"
                  : "changed"
              )
          )
      },
      gets: { name: "repeated" },
      requests: 2,
      connection: "kept"
    },
    {
      does: "redirects a write to a read (303)",
      call: "order",
      redirects: 1,
      server: {
        onRequest: (connection, index) =>
          connection.write(
            index === 0
              ? to("/there", "303 See Other")
              : named(
                /GET \/there HTTP\/1\.1\r\n(?![^]*content-)[^]*\r\n\r\n$/.test(connection.received) ? "read" : "changed"
              )
          )
      },
      gets: { name: "read" },
      requests: 2,
      connection: "kept"
    },
    {
      does: "redirects a write to a closed port, after its effect may have happened (303)",
      call: "ship",
      redirects: 1,
      server: answering(to("http://127.0.0.1:1/", "303 See Other")),
      gets: new ConnectFailed("Refused", "Unknown"),
      policy: { retry: { base: 0, retries: 3 } },
      connection: "kept"
    },
    {
      does: "redirects, and then resets the connection",
      redirects: 1,
      server: {
        onRequest: (connection, index) => index === 0 ? connection.write(to("/there")) : connection.reset()
      },
      gets: new ConnectionLost("Headers"),
      requests: 2
    },
    {
      does: "redirects from https to http",
      redirects: 1,
      tls: trusted,
      transport: trusting,
      server: ({ other }) => answering(to(`${other}/there`)),
      gets: invalid("redirected to a URL that is not https")
    },
    {
      does: "redirects from https to the metadata service of a cloud, over http",
      redirects: 1,
      tls: trusted,
      transport: trusting,
      server: answering(to("http://169.254.169.254/latest/meta-data/")),
      gets: invalid("redirected to a URL that is not https")
    },
    {
      does: "redirects to a file",
      redirects: 1,
      server: answering(to("file:///etc/passwd")),
      gets: invalid("redirected to a URL that is not https")
    },
    {
      does: "redirects to a script",
      redirects: 1,
      server: answering(to("javascript:alert(1)")),
      gets: invalid("redirected to a URL that is not https")
    },
    {
      does: "redirects to a URL with user info",
      redirects: 1,
      server: ({ other }) => answering(to(other.replace("//", "//root:toor@"))),
      gets: invalid("redirected to a URL with user info")
    },
    {
      does: "redirects to an invalid URL",
      redirects: 1,
      server: answering(to("https://[")),
      gets: invalid("redirected to an invalid URL")
    },
    {
      does: "redirects without a Location",
      redirects: 1,
      server: answering(answer("", [], "302 Found")),
      gets: invalid("status 302 is not part of the contract"),
      connection: "kept"
    },
    {
      does: "redirects to several URLs",
      redirects: 1,
      server: answering(answer("", ["location: /one", "location: /two"], "302 Found")),
      gets: invalid("redirected to several URLs")
    },
    {
      does: "redirects to a URL of 9000 characters",
      redirects: 1,
      server: answering(to(`/${"a".repeat(9_000)}`)),
      gets: new InvalidResponse(
        undefined,
        "the redirect cannot be followed: the URL is longer than 8192 characters"
      ),
      connection: "kept"
    },
    {
      does: "redirects with a body that never ends",
      redirects: 1,
      server: flooding("HTTP/1.1 302 Found\r\nlocation: /there\r\n\r\n", "hello"),
      gets: new ResponseTooLarge(64 * 1024),
      isLarge: true
    },
    {
      does: "redirects with a body that arrives a character at a time",
      redirects: 1,
      server: dripping("HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 9999\r\n\r\n", " "),
      gets: new Timeout("Headers", 150),
      limit: ["headersTimeout", 150]
    },
    {
      does: "redirects, and then sends nothing",
      redirects: 10,
      server: { onRequest: (connection, index) => index === 0 ? connection.write(to("/there")) : undefined },
      gets: new Timeout("Headers", 150),
      limit: ["attemptTimeout", 150],
      policy: { connectTimeout: 100 },
      requests: 2
    }
  ]
}
