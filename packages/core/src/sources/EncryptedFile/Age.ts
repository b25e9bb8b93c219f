/**
 * Files in the format of age (age-encryption.org/v1), by its author's library: X25519 or a passphrase, and
 * ChaCha20-Poly1305, with no choices to get wrong. Errors use our words, because the library's own messages may quote
 * the file.
 */
import type { Identity, Stanza } from "age-encryption"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createDecipheriv, scrypt } from "node:crypto"
import { type Trouble, trouble } from "../LocalFile.ts"

/**
 * Decrypts a file. The key is one age identity per line, comments allowed, any of which may open the file, or a
 * passphrase. The expensive part of a passphrase runs outside the event loop.
 */
export const decrypt = (bytes: Uint8Array, key: Redacted.Redacted): Effect.Effect<string, Trouble> =>
  Effect.gen(function*() {
    const age = yield* library
    const identities = identitiesOf(key)
    const decrypter = new age.Decrypter()
    yield* Effect.try({
      try: () => {
        if (identities.length === 0) {
          decrypter.addIdentity(new Passphrase(key))
        } else for (const identity of identities) decrypter.addIdentity(identity)
      },
      catch: () => badIdentity
    })
    const sealed = yield* Effect.try({ try: () => withoutArmor(bytes, age.armor.decode), catch: () => damaged })
    const opened = yield* Effect.tryPromise({
      try: () => decrypter.decrypt(sealed),
      catch: (cause) => cause instanceof Error && misfits.test(cause.message) ? wrongKey : damaged
    })
    return yield* Effect.try({
      try: () => decoder.decode(opened),
      catch: () => trouble("does not hold UTF-8 text")
    })
  })

/** Encrypts a text for every identity of the key, or with its passphrase. */
export const encrypt = (text: string, key: Redacted.Redacted): Effect.Effect<Uint8Array, Trouble> =>
  Effect.gen(function*() {
    const age = yield* library
    const identities = identitiesOf(key)
    const encrypter = new age.Encrypter()
    return yield* Effect.tryPromise({
      try: async () => {
        if (identities.length === 0) encrypter.setPassphrase(Redacted.value(key))
        for (const identity of identities) encrypter.addRecipient(await age.identityToRecipient(identity))
        return encrypter.encrypt(text)
      },
      catch: () => badIdentity
    })
  })

/** Creates an identity, and its recipient, which is not secret. */
export const newKey: Effect.Effect<{ readonly key: Redacted.Redacted; readonly recipient: string }, Trouble> = Effect
  .gen(
    function*() {
      const { generateX25519Identity, identityToRecipient } = yield* library
      const identity = yield* Effect.promise(() => generateX25519Identity())
      return { key: Redacted.make(identity), recipient: yield* Effect.promise(() => identityToRecipient(identity)) }
    }
  )

/**
 * Loaded at first use, because only encrypted files need the package. The `try` lets a bundler accept its absence.
 */
const library = Effect.filterOrFail(
  Effect.promise(async () => {
    try {
      return await import("age-encryption")
    } catch {
      return undefined
    }
  }),
  (age) => age !== undefined,
  () => notInstalled
)

const identitiesOf = (key: Redacted.Redacted): ReadonlyArray<string> =>
  Redacted.value(key).split(/\r?\n/).map((line) => line.trim()).filter((line) => line.startsWith("AGE-SECRET-KEY-"))

const withoutArmor = (bytes: Uint8Array, decode: (text: string) => Uint8Array): Uint8Array => {
  const head = Buffer.from(bytes.subarray(0, armorHead.length)).toString("latin1")
  return head === armorHead ? decode(Buffer.from(bytes).toString("latin1")) : bytes
}

const armorHead = "-----BEGIN AGE ENCRYPTED FILE-----"

/** The message of age-encryption 0.3.1 if no key fits. */
const misfits = /^no identity matched any of the file's recipients$/

const notInstalled = trouble("needs the package age-encryption: install it")
const wrongKey = trouble("is not encrypted to this key")
const damaged = trouble("is damaged, truncated, or not an age file")
const badIdentity = trouble("cannot be used: its key is not an age identity")

const decoder = new TextDecoder("utf-8", { fatal: true })

/** The passphrase stanza of age (C2SP, age.md, "The scrypt recipient type"), with Node's own scrypt in another thread. */
class Passphrase implements Identity {
  private readonly passphrase: Redacted.Redacted

  constructor(passphrase: Redacted.Redacted) {
    this.passphrase = passphrase
  }

  async unwrapFileKey(stanzas: Array<Stanza>): Promise<Uint8Array | null> {
    const stanza = stanzas.find(({ args }) => args[0] === "scrypt")
    if (stanza === undefined) return null
    const [, salt = "", work = ""] = stanza.args
    // It must be the only one: the author of a file with another recipient beside it did not know the passphrase.
    const isWellFormed = stanzas.length === 1 && stanza.args.length === 3 && stanza.body.length === 32 &&
      /^[A-Za-z0-9+/]{22}$/.test(salt) && /^[1-9]\d?$/.test(work) && Number(work) <= maxWork
    if (!isWellFormed) throw new Error("the stanza is invalid")
    const key = await derive(Redacted.value(this.passphrase), Buffer.from(salt, "base64"), 2 ** Number(work))
    const decipher = createDecipheriv("chacha20-poly1305", key, Buffer.alloc(12), { authTagLength: 16 })
    decipher.setAuthTag(stanza.body.subarray(16))
    try {
      return Buffer.concat([decipher.update(stanza.body.subarray(0, 16)), decipher.final()])
    } catch {
      return null
    }
  }
}

/** The highest work factor, as in age-encryption itself: 2²⁰ takes a gigabyte for some seconds. 2¹⁸ is usual. */
const maxWork = 20

const derive = (passphrase: string, salt: Buffer, cost: number): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const labelled = Buffer.concat([Buffer.from("age-encryption.org/v1/scrypt"), salt])
    scrypt(passphrase, labelled, 32, { N: cost, r: 8, p: 1, maxmem: 256 * 8 * cost }, (error, key) => {
      if (error === null) resolve(key)
      else reject(error)
    })
  })
