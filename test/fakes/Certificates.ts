/**
 * Certificates made at run time: X.509 v3 in DER (RFC 5280), signed with SHA-256, by themselves or by an authority made
 * the same way. Node can sign and read certificates, but cannot create one.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from "node:crypto"
import { isIP } from "node:net"

/** A certificate with its private key, both as PEM. `cert` also has the intermediate certificates, but no root. */
export interface Certified {
  readonly key: string
  readonly cert: string
}

/** An authority, which issues certificates and can have one issued itself. */
export interface Authority {
  /** Its own certificate, as PEM, for clients to trust. */
  readonly certificate: string
  readonly issue: (options?: LeafOptions) => Certified
  /** An intermediate authority issued by this one. Its certificates include its own. */
  readonly intermediate: () => Authority
}

export interface LeafOptions {
  /** IP addresses and DNS names that it is for. @default this machine's: `127.0.0.1`, `::1`, `localhost` */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** From when and until when it is valid, in hours from now. @default an hour ago until an hour from now */
  readonly validHours?: readonly [from: number, until: number] | undefined
  /** @default P-256 */
  readonly key?: KeyKind | undefined
}

type KeyKind = "P-256" | "RSA-1024" | "RSA-2048"

/** An authority that certifies itself. Every one is another, even of the same name. */
export const authority = (name = "breakwater test authority"): Authority => {
  const keys = keyPair("P-256")
  return authorityOf(name, keys, certificate({ subject: name, keys, issuer: name, by: keys, isAuthority: true }), "")
}

/** A self-signed certificate. */
export const selfSigned = (options: LeafOptions = {}): Certified => {
  const keys = keyPair(options.key ?? "P-256")
  const name = "breakwater test"
  return certified(keys, certificate({ subject: name, keys, issuer: name, by: keys, isAuthority: false, ...options }))
}

const authorityOf = (name: string, keys: KeyPair, own: string, chain: string): Authority => ({
  certificate: own,
  issue: (options = {}) => {
    const leafKeys = keyPair(options.key ?? "P-256")
    const leaf = certificate({
      subject: "breakwater test",
      keys: leafKeys,
      issuer: name,
      by: keys,
      isAuthority: false,
      ...options
    })
    return certified(leafKeys, leaf + chain)
  },
  intermediate: () => {
    const subject = `${name}, intermediate`
    const below = keyPair("P-256")
    const its = certificate({ subject, keys: below, issuer: name, by: keys, isAuthority: true })
    return authorityOf(subject, below, its, its + chain)
  }
})

/** The certificates in a PEM, in order. */
export const certificatesIn = (pem: string): ReadonlyArray<X509Certificate> =>
  Array.from(pem.matchAll(/-----BEGIN[^]*?-----END CERTIFICATE-----\n/g), ([one]) => new X509Certificate(one))

/** The key of a certificate, encrypted with a passphrase. */
export const encryptedKey = ({ key }: Certified, passphrase: string): string =>
  createPrivateKey(key).export({ format: "pem", type: "pkcs8", cipher: "aes-256-cbc", passphrase })

interface KeyPair {
  readonly kind: KeyKind
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const keyPair = (kind: KeyKind): KeyPair => ({
  kind,
  ...(kind === "P-256"
    ? generateKeyPairSync("ec", { namedCurve: kind })
    : generateKeyPairSync("rsa", { modulusLength: Number(kind.slice(4)) }))
})

const certified = ({ privateKey }: KeyPair, cert: string): Certified => ({
  key: privateKey.export({ format: "pem", type: "pkcs8" }),
  cert
})

let serial = 0

const certificate = (options: {
  readonly subject: string
  readonly keys: KeyPair
  readonly issuer: string
  readonly by: KeyPair
  readonly isAuthority: boolean
  readonly hosts?: ReadonlyArray<string> | undefined
  readonly validHours?: readonly [from: number, until: number] | undefined
}): string => {
  const { by, hosts = ["127.0.0.1", "::1", "localhost"], isAuthority, keys, validHours: [from, until] = [-1, 1] } =
    options
  const algorithm = by.kind === "P-256"
    ? sequence(oid(42, 840, 10_045, 4, 3, 2)) // ecdsa-with-SHA256 (RFC 5758)
    : sequence(oid(42, 840, 113_549, 1, 1, 11), tagged(0x05)) // sha256WithRSAEncryption (RFC 4055)
  const extension = (id: Buffer, value: Buffer) => sequence(id, octets(value))
  const unsigned = sequence(
    tagged(0xa0, integer(2)),
    integer(++serial),
    algorithm,
    commonName(options.issuer),
    sequence(time(from), time(until)),
    commonName(options.subject),
    keys.publicKey.export({ format: "der", type: "spki" }),
    tagged(
      0xa3,
      sequence(
        isAuthority
          ? extension(oid(85, 29, 19), sequence(tagged(0x01, Buffer.from([0xff])))) // basicConstraints: CA
          : extension(oid(85, 29, 17), sequence(...hosts.map(generalName))) // subjectAltName
      )
    )
  )
  const signature = sign("sha256", unsigned, by.privateKey)
  const der = sequence(unsigned, algorithm, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = der.toString("base64").replaceAll(/.{64}(?!$)/g, "$&\n")
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}

const tagged = (tag: number, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(parts)
  const { length: size } = content
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

const sequence = (...parts: ReadonlyArray<Buffer>) => tagged(0x30, ...parts)
/** Below 2^15. */
const integer = (value: number) => tagged(0x02, Buffer.from(value < 0x80 ? [value] : [value >> 8, value & 0xff]))
const octets = (content: Buffer) => tagged(0x04, content)

const commonName = (name: string) => sequence(tagged(0x31, sequence(oid(85, 4, 3), tagged(0x0c, Buffer.from(name)))))

const generalName = (host: string): Buffer => {
  switch (isIP(host)) {
    case 4:
      return tagged(0x87, Buffer.from(host.split(".").map(Number)))
    case 6:
      if (host === "::1") return tagged(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1])]))
      throw new Error(`no IPv6 address but ::1 is written here, got ${host}`)
    default:
      return tagged(0x82, Buffer.from(host))
  }
}

/** The first number of an identifier stands for its first two: 42 is 1.2, 85 is 2.5. */
const oid = (...numbers: ReadonlyArray<number>) =>
  tagged(0x06, Buffer.from(numbers.flatMap((number) => base128(number))))

const base128 = (value: number): ReadonlyArray<number> => {
  const digits = [value & 0x7f]
  for (let rest = value >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80)
  return digits
}

/** YYMMDDHHMMSSZ */
const time = (hoursFromNow: number) => {
  const text = new Date(Date.now() + hoursFromNow * 3_600_000).toISOString()
  return tagged(0x17, Buffer.from(`${text.replaceAll(/\D/g, "").slice(2, 14)}Z`))
}
