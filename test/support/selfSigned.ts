/**
 * A certificate that nobody trusts, made on the spot: X.509 v3 in DER (RFC 5280), P-256 with SHA-256, signed by itself.
 * Node can sign and can read certificates, but cannot make one.
 */
import { generateKeyPairSync, sign } from "node:crypto"
import type { Tls } from "./hostileServer.ts"

/** Makes key and certificate for an IPv4 address. @default this machine's */
export const selfSigned = (ip: ReadonlyArray<number> = [127, 0, 0, 1]): Tls => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const now = Date.now()
  const name = sequence(set(sequence(oid(85, 4, 3), utf8("breakwater test"))))
  const algorithm = sequence(oid(42, 840, 10_045, 4, 3, 2))
  const address = tagged(0x87, Buffer.from(ip))
  const unsigned = sequence(
    tagged(0xa0, integer(2)),
    integer(1),
    algorithm,
    name,
    sequence(utcTime(now - 3_600_000), utcTime(now + 3_600_000)),
    name,
    publicKey.export({ format: "der", type: "spki" }),
    tagged(0xa3, sequence(sequence(oid(85, 29, 17), octets(sequence(address)))))
  )
  const signature = sign("sha256", unsigned, privateKey)
  const certificate = sequence(unsigned, algorithm, tagged(0x03, Buffer.concat([Buffer.from([0]), signature])))
  return {
    key: privateKey.export({ format: "pem", type: "pkcs8" }),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString("base64")}\n-----END CERTIFICATE-----\n`
  }
}

const tagged = (tag: number, ...parts: ReadonlyArray<Buffer>): Buffer => {
  const content = Buffer.concat(parts)
  const length = content.length < 0x80
    ? [content.length]
    : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

const sequence = (...parts: ReadonlyArray<Buffer>) => tagged(0x30, ...parts)
const set = (...parts: ReadonlyArray<Buffer>) => tagged(0x31, ...parts)
const integer = (value: number) => tagged(0x02, Buffer.from([value]))
const octets = (content: Buffer) => tagged(0x04, content)
const utf8 = (text: string) => tagged(0x0c, Buffer.from(text))

/** The first number of an identifier stands for its first two: 42 is 1.2, 85 is 2.5. */
const oid = (...numbers: ReadonlyArray<number>) => tagged(0x06, Buffer.from(numbers.flatMap(base128)))

const base128 = (value: number): ReadonlyArray<number> =>
  value < 0x80 ? [value] : [...base128(value >> 7).map((digit) => digit | 0x80), value & 0x7f]

/** YYMMDDHHMMSSZ */
const utcTime = (millis: number) =>
  tagged(0x17, Buffer.from(`${new Date(millis).toISOString().replaceAll(/\D/g, "").slice(2, 14)}Z`))
