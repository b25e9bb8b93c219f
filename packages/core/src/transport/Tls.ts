/**
 * Whom the transport believes to be the vendor, and as whom it speaks to it. Certificates are always verified, and nothing
 * before TLS 1.2 is spoken; neither can be switched off, here or by the environment. Revocation is not looked up: Node has no
 * means of its own for it, and pins are the answer to an authority that certifies whom it should not.
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
import * as Redacted from "effect/Redacted"
import { hash, X509Certificate } from "node:crypto"
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
import { NoConnection } from "./NoConnection.ts"

/** What the transport shows to a vendor that wants to know who calls. */
export interface ClientCertificate {
  /** The certificate, and behind it those that vouch for it, as PEM. */
  readonly certificate: string
  /** Its private key, as PEM. */
  readonly key: Redacted.Redacted
  /** What the key is encrypted with. @default it is not */
  readonly passphrase?: Redacted.Redacted | undefined
}

export interface TlsOptions {
  /** The lowest version that is spoken. @default TLSv1.2 */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  /** Certificates of authorities that are trusted besides Node's own roots, each as PEM. @default none */
  readonly ca?: ReadonlyArray<string> | undefined
  /** Whether Node's own roots are trusted; without them there must be a `ca`. @default true */
  readonly defaultRoots?: boolean | undefined
  /** What is shown to vendors that ask for a certificate. @default none */
  readonly client?: ClientCertificate | undefined
  /**
   * Public keys, at least two of them, as `sha256/` and the base64 of the SHA-256 of the key (its SubjectPublicKeyInfo,
   * RFC 7469). One must be among those that vouch for the vendor's certificate or its own; another is the backup, for the
   * day on which the first is lost. They hold for every host of the transport: a vendor with pins has its own. Sessions are
   * then not resumed, for a resumed one shows no certificate. @default none
   */
  readonly pins?: ReadonlyArray<string> | undefined
}

export interface Tls {
  /** For connections to a vendor. */
  readonly vendor: ConnectionOptions
  /** For connections to a proxy: the same trust, without pins and client certificate. */
  readonly proxy: ConnectionOptions
  readonly resumesSessions: boolean
}

/** Throws for pins that are none or too few, for PEM that is none, and for a key that is not the certificate's. */
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
    // Keys too weak to be trusted: nothing below 112 bits of security, as OpenSSL's level 2 has it.
    ciphers: `${DEFAULT_CIPHERS}:@SECLEVEL=2`,
    ...(ca.length === 0 ? undefined : { ca: defaultRoots ? [...getCACertificates("default"), ...ca] : [...ca] })
  }
  const identity: SecureContextOptions = client === undefined ? {} : {
    cert: client.certificate,
    key: Redacted.value(client.key),
    ...(client.passphrase === undefined ? undefined : { passphrase: Redacted.value(client.passphrase) })
  }
  // Said at every connection: what is not said is taken from NODE_TLS_REJECT_UNAUTHORIZED, whenever it may be set.
  const always = { rejectUnauthorized: true, minDHSize: 2_048 }
  return {
    vendor: {
      ...always,
      secureContext: readPem(
        "client must be a certificate and its key in PEM",
        () => createSecureContext({ ...trust, ...identity })
      ),
      ...(pins === undefined ? undefined : { checkServerIdentity: checkWithPins(pins) })
    },
    proxy: { ...always, secureContext: createSecureContext(trust) },
    resumesSessions: pins === undefined
  }
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
    // What OpenSSL says may hold what it was given.
    throw new Error(`Tls: ${rule}`)
  }
}

const checkWithPins = (pins: ReadonlySet<string>) => (host: string, shown: PeerCertificate): Error | undefined =>
  checkServerIdentity(host, shown) ??
    (isPinned(pins, shown) ? undefined : new NoConnection(new ConnectFailed("Pin")))

/**
 * Goes up from the vendor's own certificate, only by signatures that hold: who sends a pinned certificate along without
 * having been certified by it, is not pinned.
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
