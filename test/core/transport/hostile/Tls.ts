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
/** The pin of a backup key. */
const backup = pin(selfSigned().cert)

/** The same port, over TLS. */
const overTls = (server: { readonly self: string }) => server.self.replace("http:", "https:")

/** A server that would respond, with another certificate. */
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

/** Makes OpenSSL accept settings that it considers too weak. */
const lax = { ciphers: "DEFAULT:@SECLEVEL=0" }

const speaking = (version: "TLSv1" | "TLSv1.1" | "TLSv1.2"): Certified & Partial<Tls> => ({
  ...trusted,
  ...(version === "TLSv1.2" ? undefined : lax),
  minVersion: version,
  maxVersion: version
})

/** Failures before there is a trusted connection. */
export const tls: Section = {
  title: "TLS",
  rows: [
    {
      does: "uses TLS correctly",
      tls: trusted,
      transport: trusting,
      server: answering(named("over TLS")),
      gets: { name: "over TLS" },
      connection: "kept"
    },
    {
      does: "supports TLS 1.2 and nothing later",
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
      does: "responds to the handshake with HTTP",
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
    showing("presents a certificate that expired an hour ago", vouching.issue({ validHours: [-2, -1] })),
    showing("presents a certificate that will be valid in an hour", vouching.issue({ validHours: [1, 2] })),
    showing("presents a certificate for another host", vouching.issue({ hosts: ["shop.example"] })),
    showing("presents a certificate for another address", vouching.issue({ hosts: ["10.0.0.1"] })),
    showing("presents a certificate without a host", vouching.issue({ hosts: [] })),
    showing("presents a self-signed certificate", selfSigned()),
    showing("presents a certificate of an unknown authority", stranger.issue(), { tls: {} }),
    showing("presents a certificate of an unknown authority with the name of a known one", stranger.issue()),
    showing("presents a certificate of an intermediate authority, without the intermediate", withoutChain),
    showing("has a key that is too weak (RSA of 1024 bits)", { ...vouching.issue({ key: "RSA-1024" }), ...lax }),
    showing("supports only TLS 1.0", speaking("TLSv1")),
    showing("supports only TLS 1.1", speaking("TLSv1.1")),
    showing("supports only TLS 1.2 where 1.3 is required", speaking("TLSv1.2"), {
      tls: { ...trusting.tls, minVersion: "TLSv1.3" }
    }),
    showing("offers only ciphers without authentication or encryption", {
      ...trusted,
      maxVersion: "TLSv1.2",
      ciphers: "aNULL:eNULL:@SECLEVEL=0"
    }),
    showing(
      "presents a trusted certificate whose key is not pinned",
      trusted,
      pinning(pin(vouching.issue().cert), backup),
      new ConnectFailed("Pin")
    ),
    showing(
      "presents a key whose pin was replaced by its backup",
      trusted,
      pinning(backup, pin(selfSigned().cert)),
      new ConnectFailed("Pin")
    ),
    showing(
      "sends along a pinned certificate that has not certified its own",
      { ...trusted, cert: trusted.cert + stranger.certificate },
      pinning(pin(stranger.certificate), backup),
      new ConnectFailed("Pin")
    ),
    {
      does: "presents the pinned backup key",
      tls: trusted,
      transport: pinning(backup, pin(trusted.cert)),
      server: answering(named("over TLS")),
      gets: { name: "over TLS" },
      connection: "kept"
    },
    {
      does: "requires a client certificate, which it does not get",
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
      does: "floods inside TLS without HTTP",
      tls: trusted,
      transport: trusting,
      server: { onRequest: (connection) => connection.flood("all work and no play ") },
      gets: new InvalidResponse(undefined, "not HTTP (Expected HTTP/, RTSP/ or ICE/)")
    },
    {
      does: "resets the connection inside TLS, in the middle of a body without a length, which looks like its end",
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
      does: "resets the connection inside TLS, in the middle of a body of a declared length",
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
