/** Digests by which a secret is recognized without being stored. */
import { createHmac, randomBytes } from "node:crypto"

/** A random key for the digests, so nobody can test guessed secrets against them. */
const pepper = randomBytes(32)

/** The digest of a secret, valid in this process only. */
export const digestOf = (secret: string): string => createHmac("sha256", pepper).update(secret).digest("base64")
