import type * as SourceSecret from "@breakwater/core/credentials/SourceSecret"
import * as EncryptedFile from "@breakwater/core/sources/EncryptedFile"
import { assert, describe, it } from "@effect/vitest"
import { armor, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption"
import { ConfigProvider, Effect, Exit, Fiber, Logger, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import { chmodSync, renameSync, unlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inspect } from "node:util"
import * as SecretFiles from "../../fakes/SecretFiles.ts"

const stripe = { vendor: "stripe", key: "" }

const damaged = "unavailable: the file is damaged, truncated, or not an age file"
const unfit = "unavailable: the file is not encrypted to this key"
const quoted = "is invalid: line 1 has a value in quotes, or with space around it, which would be part of the value: " +
  "remove it, or make the file JSON"

const newKey = Effect.promise(() => generateX25519Identity())

/** Encrypts with age's own library. */
const sealed = (text: string | Uint8Array, key: string, workFactor = 12) =>
  Effect.promise(async () => {
    const encrypter = new Encrypter()
    if (key.startsWith("AGE-SECRET-KEY-")) encrypter.addRecipient(await identityToRecipient(key))
    else {
      encrypter.setPassphrase(key)
      encrypter.setScryptWorkFactor(workFactor)
    }
    return encrypter.encrypt(text)
  })

/** The secret of a request, or the reason for its absence. */
const reading = (options: EncryptedFile.EncryptedFileOptions) => {
  const source = EncryptedFile.make(options)
  return (request = stripe) =>
    Effect.match(source.fetch(request), {
      onSuccess: (secret) => secret === undefined ? "none" : Redacted.value(secret.value),
      onFailure: ({ issue }) => `unavailable: ${issue}`
    })
}

/** A file, a key, and a source for them. */
const made = Effect.gen(function*() {
  const path = join(yield* SecretFiles.directory, "secrets.age")
  const key = yield* newKey
  return {
    path,
    key,
    read: reading({ path, key: Redacted.make(key) }),
    write: (text: string | Uint8Array, by = key) =>
      Effect.map(sealed(text, by), (bytes) => {
        writeFileSync(path, bytes)
        return bytes
      })
  }
})

describe("EncryptedFile", () => {
  it.live("reads the secrets of a file of lines", () =>
    Effect.gen(function*() {
      const { path, key, read, write } = yield* made
      const [one, eu] = [randomUUID(), `${randomUUID()}=#"'`]
      yield* write(`# of production\n\nSTRIPE_API_KEY=${one}\r\nSTRIPE_EU_API_KEY=${eu}\n`)
      assert.strictEqual(yield* read(), one)
      assert.strictEqual(yield* read({ vendor: "stripe", key: "eu" }), eu)
      assert.strictEqual(yield* read({ vendor: "stripe", key: "us" }), "none")
      assert.strictEqual(yield* read({ vendor: "stripe", key: "../eu" }), "none")
      yield* write("stripe/eu=by a template\n")
      const named = reading({ path, key: Redacted.make(key), name: "{vendor}/{key}" })
      assert.strictEqual(yield* named({ vendor: "stripe", key: "eu" }), "by a template")
    }).pipe(Effect.scoped))

  it.live("reads the secrets of a JSON object, which may have line breaks", () =>
    Effect.gen(function*() {
      const { read, write } = yield* made
      yield* write(`\n{ "STRIPE_API_KEY": "BEGIN\\nEND\\n", "__proto__": "x" }`)
      assert.strictEqual(yield* read(), "BEGIN\nEND\n")
      assert.strictEqual(yield* read({ vendor: "constructor", key: "" }), "none")
    }).pipe(Effect.scoped))

  it.live(
    "opens a file with a passphrase, even in armor, without blocking the event loop",
    () =>
      Effect.gen(function*() {
        const { path } = yield* made
        const passphrase = `${randomUUID()} ünï`
        const bytes = yield* sealed("STRIPE_API_KEY=opened", passphrase, 18)
        yield* sealed("warm", passphrase, 1)
        writeFileSync(path, bytes)
        const read = reading({ path, key: Redacted.make(passphrase) })
        const before = { loop: process.threadCpuUsage(), all: process.cpuUsage() }
        assert.strictEqual(yield* read(), "opened")
        const [loop, all] = [process.threadCpuUsage(before.loop), process.cpuUsage(before.all)]
        // The library's own does all of the work in the loop.
        assert.isAbove(all.user, 2 * loop.user)
        assert.strictEqual(yield* reading({ path, key: Redacted.make(randomUUID()) })(), unfit)
        writeFileSync(path, armor.encode(yield* sealed("STRIPE_API_KEY=armored", passphrase)))
        assert.strictEqual(yield* read(), "armored")
      }).pipe(Effect.scoped)
  )

  it.live("opens with any identity of its key, ignoring comments", () =>
    Effect.gen(function*() {
      const { path, write } = yield* made
      const [old, next] = [yield* newKey, yield* newKey]
      const read = reading({ path, key: Redacted.make(`# created: today\n  ${old} \r\n\n${next}\n`) })
      yield* write("STRIPE_API_KEY=first", old)
      assert.strictEqual(yield* read(), "first")
      yield* write("STRIPE_API_KEY=second", next)
      assert.strictEqual(yield* read(), "second")
    }).pipe(Effect.scoped))

  it.live.each(SecretFiles.ways)(
    "uses with the next attempt a file that was %s",
    ([, change]) =>
      Effect.gen(function*() {
        const { key, path, read, write } = yield* made
        yield* write("STRIPE_API_KEY=first")
        yield* read()
        for (let round = 0; round < 20; round++) {
          const secret = randomUUID()
          const bytes = yield* sealed(`STRIPE_API_KEY=${secret}\n`, key)
          change(path, bytes)
          assert.strictEqual(yield* read(), secret)
        }
      }).pipe(Effect.scoped)
  )

  it.live("decrypts once for concurrent callers, even if the first is interrupted, and not again", () =>
    Effect.gen(function*() {
      const { key, path, write } = yield* made
      yield* write("STRIPE_API_KEY=once")
      let asked = 0
      const source = EncryptedFile.make({
        path,
        key: Effect.sync(() => {
          asked++
          return Redacted.make(key)
        })
      })
      const first = yield* Effect.forkChild(source.fetch(stripe), { startImmediately: true })
      const others = yield* Effect.forkChild(
        Effect.all(Array.from({ length: 50 }, () => source.fetch(stripe)), {
          concurrency: "unbounded"
        }),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(first)
      const secrets = yield* Fiber.join(others)
      assert.isTrue(secrets.every((secret) => Redacted.value(secret!.value) === "once"))
      yield* source.fetch(stripe)
      assert.strictEqual(asked, 1)
      yield* write("STRIPE_API_KEY=twice")
      assert.strictEqual(Redacted.value((yield* source.fetch(stripe))!.value), "twice")
      assert.strictEqual(asked, 2)
    }).pipe(Effect.scoped))

  it.live("is unavailable while there is no file, and available once it exists", () =>
    Effect.gen(function*() {
      const { path, read, write } = yield* made
      assert.strictEqual(yield* read(), "unavailable: the file does not exist")
      yield* write("STRIPE_API_KEY=there")
      assert.strictEqual(yield* read(), "there")
      unlinkSync(path)
      assert.strictEqual(yield* read(), "unavailable: the file does not exist")
    }).pipe(Effect.scoped))

  it.live("reports a file truncated at any byte as damaged, and returns nothing of it", () =>
    Effect.gen(function*() {
      const { key, path, write } = yield* made
      const bytes = yield* write(`STRIPE_API_KEY=${randomUUID()}\n`)
      for (let length = 1; length < bytes.length; length += 7) {
        writeFileSync(path, bytes.subarray(0, length))
        assert.strictEqual(yield* reading({ path, key: Redacted.make(key) })(), damaged, `${length} bytes`)
      }
      writeFileSync(path, Buffer.concat([bytes, Buffer.from("x")]))
      assert.strictEqual(yield* reading({ path, key: Redacted.make(key) })(), damaged)
    }).pipe(Effect.scoped))

  it.live("reports a file with any changed byte as one that cannot be opened", () =>
    Effect.gen(function*() {
      const { key, path, write } = yield* made
      const bytes = yield* write(`STRIPE_API_KEY=${randomUUID()}\n`)
      for (let at = 0; at < bytes.length; at += 3) {
        const changed = Buffer.from(bytes)
        changed[at]! ^= 1
        writeFileSync(path, changed)
        assert.oneOf(yield* reading({ path, key: Redacted.make(key) })(), [damaged, unfit], `byte ${at}`)
      }
    }).pipe(Effect.scoped))

  it.live.each<[string, string | Uint8Array, string]>([
    ["an invalid line", "A=1\nmarked-b\n", "is invalid: line 2 is not NAME=value"],
    ["a name with a space", "A =marked", "is invalid: line 1 is not NAME=value"],
    ["an empty value", "A=\n", "is invalid: line 1 has no value"],
    ["a value in quotes", `A="marked"`, quoted],
    ["space around a value", "A= marked", quoted],
    [
      "a repeated name",
      "A=marked\n#\nA=2",
      "is invalid: line 3 repeats the name of a secret"
    ],
    ["JSON that is broken", `{"A":"marked"`, "is not a JSON object of names and non-empty strings"],
    ["JSON with a number", `{"A":"marked","B":1}`, "is not a JSON object of names and non-empty strings"],
    ["JSON with a strange name", `{"A b":"marked"}`, "has an invalid name"],
    ["bytes that are not text", Buffer.from([0x41, 0x3d, 0xff]), "does not hold UTF-8 text"]
  ])("rejects a file with %s, and shows nothing of it", ([, text, issue]) =>
    Effect.gen(function*() {
      const { read, write } = yield* made
      yield* write(text)
      assert.strictEqual(yield* read(), `unavailable: the file ${issue}`)
    }).pipe(Effect.scoped))

  it.live("says which of key and file is wrong, without showing either", () =>
    Effect.gen(function*() {
      const { path, write, key } = yield* made
      const bytes = yield* write("STRIPE_API_KEY=x")
      const by = (key: string) => reading({ path, key: Redacted.make(key) })()
      assert.strictEqual(yield* by(yield* newKey), unfit)
      assert.strictEqual(yield* by(randomUUID()), unfit)
      assert.strictEqual(
        yield* by(`${key.slice(0, -1)}B`),
        "unavailable: the file cannot be used: its key is not an age identity"
      )
      writeFileSync(path, "STRIPE_API_KEY=in the clear\n")
      assert.strictEqual(yield* by(key), damaged)
      yield* write("STRIPE_API_KEY=x", "a passphrase")
      assert.strictEqual(yield* by(key), unfit)
      // A work factor that would use all memory.
      const greedy = yield* sealed("STRIPE_API_KEY=x", "a passphrase", 2)
      writeFileSync(
        path,
        Buffer.from(Buffer.from(greedy).toString("latin1").replace(/(-> scrypt \S+) 2\n/, "$1 21\n"), "latin1")
      )
      assert.strictEqual(yield* by("a passphrase"), damaged)
      writeFileSync(path, bytes)
      assert.strictEqual(yield* reading({ path, key: Redacted.make(key), maxBytes: bytes.length })(), "x")
      assert.strictEqual(
        yield* reading({ path, key: Redacted.make(key), maxBytes: bytes.length - 1 })(),
        `unavailable: the file is larger than ${bytes.length - 1} bytes`
      )
    }).pipe(Effect.scoped))

  it.effect("retries a file that could not be opened after a second, since the key may be corrected", () =>
    Effect.gen(function*() {
      const { key, path, write } = yield* made
      yield* write("STRIPE_API_KEY=x")
      const keyPath = `${path}.key`
      writeFileSync(keyPath, `${yield* newKey}\n`, { mode: 0o600 })
      const read = reading({ path, key: EncryptedFile.keyFile(keyPath) })
      assert.strictEqual(yield* read(), unfit)
      writeFileSync(keyPath, `${key}\n`)
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* read(), unfit)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* read(), "x")
    }).pipe(Effect.scoped))

  it.live("survives a change of the key, if both keys were configured beforehand", () =>
    Effect.gen(function*() {
      const { key: old, path, write } = yield* made
      const next = yield* newKey
      yield* write("STRIPE_API_KEY=old")
      const keyPath = `${path}.key`
      writeFileSync(keyPath, old, { mode: 0o600 })
      const read = reading({ path, key: EncryptedFile.keyFile(keyPath) })
      assert.strictEqual(yield* read(), "old")
      writeFileSync(keyPath, `${old}\n${next}\n`)
      yield* write("STRIPE_API_KEY=new", next)
      assert.strictEqual(yield* read(), "new")
      writeFileSync(keyPath, next)
      yield* write("STRIPE_API_KEY=newer", next)
      assert.strictEqual(yield* read(), "newer")
    }).pipe(Effect.scoped))

  it.live("says what is wrong with its key file, and warns if every user may read it", () =>
    Effect.gen(function*() {
      const { key, path, write } = yield* made
      yield* write("STRIPE_API_KEY=x")
      const keyPath = `${path}.key`
      const given = EncryptedFile.keyFile(keyPath)
      const read = () => reading({ path, key: given })()
      assert.strictEqual(yield* read(), "unavailable: the file of its key does not exist")
      writeFileSync(keyPath, "\n", { mode: 0o600 })
      assert.strictEqual(yield* read(), "unavailable: the file of its key is empty")
      writeFileSync(keyPath, key)
      const logged: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void logged.push(inspect(message)))])
      assert.strictEqual(yield* Effect.provide(read(), logger), "x")
      assert.lengthOf(logged, 0)
      chmodSync(keyPath, 0o644)
      assert.strictEqual(yield* Effect.provide(read(), logger), "x")
      assert.strictEqual(yield* Effect.provide(read(), logger), "x")
      assert.lengthOf(logged, 1)
      assert.notInclude(logged.join(), key)
    }).pipe(Effect.scoped))

  it.live("is available again after an editor has moved it away and rewritten it", () =>
    Effect.gen(function*() {
      const { path, read, write, key } = yield* made
      yield* write("STRIPE_API_KEY=first")
      yield* read()
      const bytes = yield* sealed("STRIPE_API_KEY=second", key)
      renameSync(path, `${path}~`)
      setTimeout(() => writeFileSync(path, bytes), 10)
      assert.strictEqual(yield* read(), "second")
    }).pipe(Effect.scoped))

  it.live("takes its key from one variable, or from the file that another names", () =>
    Effect.gen(function*() {
      const directory = yield* SecretFiles.directory
      const key = yield* newKey
      writeFileSync(join(directory, "key"), key, { mode: 0o600 })
      const configured = (env: Record<string, string>) =>
        EncryptedFile.keyConfig().parse(ConfigProvider.fromEnv({ env }))
      const revealed = (given: SourceSecret.SourceSecret) =>
        Effect.map(Redacted.isRedacted(given) ? Effect.succeed(given) : given, Redacted.value)
      assert.strictEqual(yield* revealed(yield* configured({ CREDENTIALS_KEY: key })), key)
      assert.strictEqual(yield* revealed(yield* configured({ CREDENTIALS_KEY_FILE: join(directory, "key") })), key)
      const none = yield* Effect.exit(configured({ CREDENTIALS_KEY: "" }))
      assert.match(inspect(none, { depth: 9 }), /CREDENTIALS_KEY/)
      const both = yield* Effect.exit(configured({ CREDENTIALS_KEY: key, CREDENTIALS_KEY_FILE: "/key" }))
      assert.isTrue(Exit.isFailure(both))
      assert.notInclude(inspect(both, { depth: 9 }), key)
    }).pipe(Effect.scoped))

  it("rejects options out of their range", () => {
    const key = Redacted.make("k")
    assert.throws(() => EncryptedFile.make({ path: "", key }), /path/)
    assert.throws(() => EncryptedFile.make({ path: "/", key, name: "{tenant}" }), /name/)
    assert.throws(() => EncryptedFile.make({ path: "/", key, maxBytes: 0 }), /maxBytes/)
  })
})
