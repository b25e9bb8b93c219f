import { pinOf } from "@breakwater/core/transport/Tls"
import { ConnectFailed, ConnectionLost, InvalidResponse, type Reason, Timeout } from "@breakwater/core/VendorError"
import { authority, certificatesIn, type Certified, selfSigned } from "../../../fakes/Certificates.ts"
import type { Tls } from "../../../fakes/HostileServer.ts"
import { answering, named, type Row, type Section } from "./Row.ts"

const vouching = authority()
const stranger = authority()
const trusted = vouching.issue()

const pin = (pem: string) => pinOf(certificatesIn(pem)[0]!)
const trusting = { tls: { ca: [vouching.certificate] } }
const pinning = (...pins: ReadonlyArray<string>) => ({ tls: { ca: [vouching.certificate], pins } })
/** The pin of a key that is kept for the day on which the first is lost. */
const backup = pin(selfSigned().cert)

/** The same port, spoken to over TLS. */
const overTls = (server: { readonly self: string }) => server.self.replace("http:", "https:")

/** A server that would answer, had it another certificate. */
const showing = (
  does: string,
  tls: Certified & Partial<Tls>,
  transport: Row["transport"] = trusting,
  gets: Reason = new ConnectFailed("Tls")
): Row => ({
  does,
  tls,
  transport,
  gets,
  server: answering(named("nobody I know")),
  requests: 0,
  connection: "none"
})

const between = vouching.intermediate().issue()
const withoutChain = { ...between, cert: certificatesIn(between.cert)[0]!.toString() }

/** OpenSSL has to be talked into what is too weak for it. */
const lax = { ciphers: "DEFAULT:@SECLEVEL=0" }

const speaking = (version: "TLSv1" | "TLSv1.1" | "TLSv1.2"): Certified & Partial<Tls> => ({
  ...trusted,
  ...(version === "TLSv1.2" ? undefined : lax),
  minVersion: version,
  maxVersion: version
})

/** What goes wrong before there is a connection that can be trusted. */
export const tls: Section = {
  title: "TLS",
  rows: [
    {
      does: "speaks TLS as it should",
      tls: trusted,
      transport: trusting,
      server: answering(named("over TLS")),
      gets: { name: "over TLS" },
      connection: "kept"
    },
    {
      does: "speaks TLS 1.2 and no later",
      tls: speaking("TLSv1.2"),
      transport: trusting,
      server: answering(named("over TLS")),
      gets: { name: "over TLS" },
      connection: "kept"
    },
    {
      does: "never ends the handshake",
      goesTo: overTls,
      gets: new Timeout("Connect", 150),
      limit: ["connectTimeout", 150],
      requests: 0,
      connection: "none"
    },
    {
      does: "answers the handshake with HTTP",
      goesTo: overTls,
      server: { onConnection: (connection) => connection.write("HTTP/1.1 400 Bad Request\r\n\r\n") },
      gets: new ConnectFailed("Tls"),
      requests: 0,
      connection: "none"
    },
    {
      does: "floods the handshake",
      goesTo: overTls,
      server: { onConnection: (connection) => connection.flood("all work and no play ") },
      gets: new ConnectFailed("Tls"),
      requests: 0,
      connection: "none",
      isLarge: true
    },
    {
      does: "closes the connection in the handshake",
      goesTo: overTls,
      server: { onConnection: (connection) => connection.end() },
      gets: new ConnectFailed("Unreachable"),
      requests: 0,
      connection: "none"
    },
    {
      does: "resets the connection in the handshake",
      goesTo: overTls,
      server: { onConnection: (connection) => connection.reset() },
      gets: new ConnectFailed("Unreachable"),
      requests: 0,
      connection: "none"
    },
    showing("shows a certificate that expired an hour ago", vouching.issue({ validHours: [-2, -1] })),
    showing("shows a certificate that will be valid in an hour", vouching.issue({ validHours: [1, 2] })),
    showing("shows a certificate that is another host's", vouching.issue({ hosts: ["shop.example"] })),
    showing("shows a certificate that is another address's", vouching.issue({ hosts: ["10.0.0.1"] })),
    showing("shows a certificate that is for no host at all", vouching.issue({ hosts: [] })),
    showing("shows a certificate that it has signed itself", selfSigned()),
    showing("shows a certificate of an authority that nobody knows", stranger.issue(), { tls: {} }),
    showing("shows a certificate of an authority that has the name of one that is known", stranger.issue()),
    showing("shows a certificate of an authority between, and does not send that one's along", withoutChain),
    showing("has a key that is too weak (RSA of 1024 bits)", { ...vouching.issue({ key: "RSA-1024" }), ...lax }),
    showing("speaks TLS 1.0 alone", speaking("TLSv1")),
    showing("speaks TLS 1.1 alone", speaking("TLSv1.1")),
    showing("speaks TLS 1.2 alone, where 1.3 is asked for", speaking("TLSv1.2"), {
      tls: { ...trusting.tls, minVersion: "TLSv1.3" }
    }),
    showing("offers ciphers alone that keep nothing secret", {
      ...trusted,
      maxVersion: "TLSv1.2",
      ciphers: "aNULL:eNULL:@SECLEVEL=0"
    }),
    showing(
      "shows a certificate that is vouched for, and whose key is none of those that are pinned",
      trusted,
      pinning(pin(vouching.issue().cert), backup),
      new ConnectFailed("Pin")
    ),
    showing(
      "shows a key whose pin has been taken back, its backup having taken its place",
      trusted,
      pinning(backup, pin(selfSigned().cert)),
      new ConnectFailed("Pin")
    ),
    showing(
      "sends a pinned certificate along that has not certified its own",
      { ...trusted, cert: trusted.cert + stranger.certificate },
      pinning(pin(stranger.certificate), backup),
      new ConnectFailed("Pin")
    ),
    {
      does: "shows the backup of the key that is pinned",
      tls: trusted,
      transport: pinning(backup, pin(trusted.cert)),
      server: answering(named("over TLS")),
      gets: { name: "over TLS" },
      connection: "kept"
    },
    {
      does: "asks for a certificate that it is not shown, and lets nobody in without one",
      tls: {
        ...trusted,
        requestCert: true,
        rejectUnauthorized: true,
        ca: [stranger.certificate],
        maxVersion: "TLSv1.3"
      },
      transport: trusting,
      gets: new ConnectionLost("Headers"),
      requests: 0,
      connection: "none"
    },
    {
      does: "floods inside TLS with what is not HTTP",
      tls: trusted,
      transport: trusting,
      server: { onRequest: (connection) => connection.flood("all work and no play ") },
      gets: new InvalidResponse(undefined, "not HTTP (Expected HTTP/, RTSP/ or ICE/)")
    },
    {
      does: "resets the connection inside TLS, in the middle of a body of no length, which cannot be told from its end",
      tls: trusted,
      transport: trusting,
      server: {
        onRequest: (connection) => {
          connection.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"name\":\"anv")
          connection.reset()
        }
      },
      gets: new InvalidResponse(200, "Expected a JSON body")
    },
    {
      does: "resets the connection inside TLS, in the middle of a body whose length it has said",
      tls: trusted,
      transport: trusting,
      server: {
        onRequest: (connection) => {
          connection.write("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"name\":\"anvil\"}")
          connection.reset()
        }
      },
      gets: new ConnectionLost("Body")
    }
  ]
}
