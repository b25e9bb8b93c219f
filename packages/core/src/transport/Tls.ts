/**
 * TLS settings: which server certificates to trust, and which client certificate to present. Certificates are always
 * verified, and TLS 1.2 is the lowest version; neither can be switched off, here or by the environment. Revocation is
 * not checked, because Node has no means for it. Pins protect against an authority that issues wrong certificates.
 *
 * @example
 * ```ts
 * import { Tls } from "@breakwater/core/transport"
 * import { X509Certificate } from "node:crypto"
 * import { rootCertificates } from "node:tls"
 *
 * const pins = rootCertificates.slice(0, 2).map((pem) => Tls.pinOf(new X509Certificate(pem)))
 * console.log(pins[0]!.slice(0, 7), Tls.make({ pins }).resumesSessions) // => sha256/ false
 * ```
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, hash, X509Certificate } from "node:crypto"
import {
  checkServerIdentity,
  type ConnectionOptions,
  createSecureContext,
  DEFAULT_CIPHERS,
  getCACertificates,
  type PeerCertificate,
  type SecureContextOptions
} from "node:tls"
import { ConnectFailed } from "../Reason.ts"
import * as ClientCertificate from "./ClientCertificate.ts"
import { NoConnection } from "./NoConnection.ts"

export interface TlsOptions {
  /** The lowest TLS version. @default TLSv1.2 */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  /** Certificates of authorities to trust besides Node's own roots, each as PEM. @default none */
  readonly ca?: ReadonlyArray<string> | undefined
  /** Whether to trust Node's own roots; without them `ca` is required. @default true */
  readonly defaultRoots?: boolean | undefined
  /**
   * The client certificate, for vendors that ask for one; or a source of it, read for every new connection. While the source
   * fails, its last good certificate is used. @default none
   */
  readonly client?: ClientCertificate.ClientCertificate | ClientCertificate.Source | undefined
  /**
   * Pinned public keys, at least two, each as `sha256/` and the base64 of the SHA-256 of the key (its
   * SubjectPublicKeyInfo, RFC 7469). The vendor's certificate, or one that certifies it, must have one of these keys. A
   * second one is the backup in case the first key is lost. Pins apply to every host of the transport, so a vendor with
   * pins needs its own transport. Sessions are then not resumed, because a resumed session shows no certificate.
   * @default none
   */
  readonly pins?: ReadonlyArray<string> | undefined
}

export interface Tls {
  /** Options of a new connection to a vendor: the same object until the client certificate changes. */
  readonly vendor: Effect.Effect<ConnectionOptions, "NoCertificate">
  /** Options of connections to a proxy: the same trust, without pins and client certificate. */
  readonly proxy: ConnectionOptions
  readonly resumesSessions: boolean
}

/** Throws for invalid or too few pins, for invalid PEM, and for a key that does not belong to the certificate. */
export const make = (options: TlsOptions = {}): Tls => {
  const { ca = [], client, defaultRoots = true, minVersion = "TLSv1.2" } = options
  if (minVersion !== "TLSv1.2" && minVersion !== "TLSv1.3") {
    throw new Error(`Tls: minVersion must be TLSv1.2 or TLSv1.3, got ${String(minVersion)}`)
  }
  if (!defaultRoots && ca.length === 0) throw new Error("Tls: without defaultRoots there must be a ca")
  const pins = options.pins === undefined ? undefined : readPins(options.pins)
  for (const pem of ca) readPem("ca must be certificates in PEM", () => new X509Certificate(pem))

  const trust: SecureContextOptions = {
    minVersion,
    // Rejects keys below 112 bits of security, as OpenSSL's level 2 defines it.
    ciphers: `${DEFAULT_CIPHERS}:@SECLEVEL=2`,
    ...(ca.length === 0 ? undefined : { ca: defaultRoots ? [...getCACertificates("default"), ...ca] : [...ca] })
  }
  // Set on every connection: Node would otherwise read NODE_TLS_REJECT_UNAUTHORIZED, which may be set at any time.
  const always = { rejectUnauthorized: true, minDHSize: 2_048 }
  const presenting = (client: ClientCertificate.ClientCertificate | undefined): ConnectionOptions => ({
    ...always,
    secureContext: readPem(
      "client must be a certificate and its key in PEM",
      () => createSecureContext({ ...trust, ...(client === undefined ? undefined : identityOf(client)) })
    ),
    ...(pins === undefined ? undefined : { checkServerIdentity: checkWithPins(pins) })
  })
  return {
    vendor: Effect.isEffect(client)
      ? ClientCertificate.latest(client, presenting)
      : Effect.succeed(presenting(client)),
    proxy: { ...always, secureContext: createSecureContext(trust) },
    resumesSessions: pins === undefined
  }
}

/** Throws for a key of another certificate. Node would take an empty text for none at all. */
const identityOf = (client: ClientCertificate.ClientCertificate): SecureContextOptions => {
  const { certificate: cert, key } = client
  const identity = { key: Redacted.value(key), passphrase: client.passphrase && Redacted.value(client.passphrase) }
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(identity))) throw new Error("not its key")
  return { cert, ...identity }
}

/** The pin of a public key. */
export const pinOf = (certificate: X509Certificate): string =>
  `sha256/${hash("sha256", certificate.publicKey.export({ type: "spki", format: "der" }), "base64")}`

const readPins = (pins: ReadonlyArray<string>): ReadonlySet<string> => {
  for (const pin of pins) {
    if (!/^sha256\/[A-Za-z0-9+/]{43}=$/.test(pin)) {
      throw new Error(`Tls: pins must be sha256/ and 32 bytes in base64, got ${pin}`)
    }
  }
  const distinct = new Set(pins)
  if (distinct.size < 2) {
    throw new Error(`Tls: pins must be at least two different ones, one of them the backup, got ${distinct.size}`)
  }
  return distinct
}

const readPem = <A>(rule: string, read: () => A): A => {
  try {
    return read()
  } catch {
    // OpenSSL's message may quote its input.
    throw new Error(`Tls: ${rule}`)
  }
}

const checkWithPins = (pins: ReadonlySet<string>) => (host: string, shown: PeerCertificate): Error | undefined =>
  checkServerIdentity(host, shown) ??
    (isPinned(pins, shown) ? undefined : new NoConnection(new ConnectFailed("Pin")))

/**
 * Climbs from the vendor's own certificate, only along valid signatures. A pinned certificate that is merely sent along
 * does not count, unless it certifies the one below it.
 */
const isPinned = (pins: ReadonlySet<string>, shown: PeerCertificate): boolean => {
  let certificate = new X509Certificate(shown.raw)
  let entry: { readonly raw: Buffer; readonly issuerCertificate?: unknown } = shown
  for (;;) {
    if (pins.has(pinOf(certificate))) return true
    const issuer = (entry as { readonly issuerCertificate?: typeof shown }).issuerCertificate
    if (issuer === undefined || issuer === entry) return false
    const above = new X509Certificate(issuer.raw)
    if (!certificate.verify(above.publicKey)) return false
    entry = issuer
    certificate = above
  }
}
