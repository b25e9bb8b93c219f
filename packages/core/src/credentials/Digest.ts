/** Digests by which a secret is recognized without being stored. */
import * as Redacted from "effect/Redacted"
import { createHmac, randomBytes } from "node:crypto"

/** A random key for the digests, so nobody can test guessed secrets against them. */
const pepper = randomBytes(32)

/** The digest of a secret, valid in this process only. */
export const digestOf = (secret: Redacted.Redacted): string =>
  createHmac("sha256", pepper).update(Redacted.value(secret)).digest("base64")
