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

const damaged = "unavailable: the file is damaged, cut off, or no file of age"
const unfit = "unavailable: the file is not encrypted to this key"
const quoted =
  "is not as it must be: line 1 has a value in quotes, or with space around it: it would be part of the value. " +
  "Leave it away, or make the file JSON"

const newKey = Effect.promise(() => generateX25519Identity())

/** Encrypts as age does, by its own library. */
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

/** The secret of a request, or why there is none. */
const reading = (options: EncryptedFile.EncryptedFileOptions) => {
  const source = EncryptedFile.make(options)
  return (request = stripe) =>
    Effect.match(source.fetch(request), {
      onSuccess: (secret) => secret === undefined ? "none" : Redacted.value(secret.value),
      onFailure: ({ issue }) => `unavailable: ${issue}`
    })
}

/** A file, a key, and a source on both. */
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
  it.live("gives the secrets of a file of lines", () =>
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

  it.live("gives the secrets of a JSON object, which can have line breaks", () =>
    Effect.gen(function*() {
      const { read, write } = yield* made
      yield* write(`\n{ "STRIPE_API_KEY": "BEGIN\\nEND\\n", "__proto__": "x" }`)
      assert.strictEqual(yield* read(), "BEGIN\nEND\n")
      assert.strictEqual(yield* read({ vendor: "constructor", key: "" }), "none")
    }).pipe(Effect.scoped))

  it.live(
    "opens what a passphrase opens, also in armor, and leaves the event loop alone meanwhile",
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
      }).pipe(Effect.scoped),
    20_000
  )

  it.live("opens with any identity of its key, among comments", () =>
    Effect.gen(function*() {
      const { path, write } = yield* made
      const [old, next] = [yield* newKey, yield* newKey]
      const read = reading({ path, key: Redacted.make(`# created: today\n  ${old} \r\n\n${next}\n`) })
      yield* write("STRIPE_API_KEY=first", old)
      assert.strictEqual(yield* read(), "first")
      yield* write("STRIPE_API_KEY=second", next)
      assert.strictEqual(yield* read(), "second")
    }).pipe(Effect.scoped))

  it.live.each(SecretFiles.ways)("uses with the next attempt what was %s", ([, change]) =>
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
    }).pipe(Effect.scoped))

  it.live("decrypts once for all who ask at the same time, to the end though the first leaves, and not again", () =>
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

  it.live("cannot be asked while there is no file, and can when there is", () =>
    Effect.gen(function*() {
      const { path, read, write } = yield* made
      assert.strictEqual(yield* read(), "unavailable: the file is not there")
      yield* write("STRIPE_API_KEY=there")
      assert.strictEqual(yield* read(), "there")
      unlinkSync(path)
      assert.strictEqual(yield* read(), "unavailable: the file is not there")
    }).pipe(Effect.scoped))

  it.live("says of a file that was cut off, anywhere, that it is damaged, and gives nothing of it", () =>
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

  it.live("says of a file in which any byte is another that it cannot be opened", () =>
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
    ["a line that is none", "A=1\nmarked-b\n", "is not as it must be: line 2 is not NAME=value"],
    ["a name with a space", "A =marked", "is not as it must be: line 1 is not NAME=value"],
    ["an empty value", "A=\n", "is not as it must be: line 1 has no value"],
    ["a value in quotes", `A="marked"`, quoted],
    ["space around a value", "A= marked", quoted],
    [
      "a name that is there twice",
      "A=marked\n#\nA=2",
      "is not as it must be: line 3 names a secret that was named before"
    ],
    ["JSON that is broken", `{"A":"marked"`, "is no JSON object of names and texts that are not empty"],
    ["JSON with a number", `{"A":"marked","B":1}`, "is no JSON object of names and texts that are not empty"],
    ["JSON with a strange name", `{"A b":"marked"}`, "has a name that cannot be one"],
    ["no text", Buffer.from([0x41, 0x3d, 0xff]), "holds no text in UTF-8"]
  ])("takes nothing from a file with %s, and shows nothing of it", ([, text, issue]) =>
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
        "unavailable: the file cannot be used: its key is no identity of age"
      )
      writeFileSync(path, "STRIPE_API_KEY=in the clear\n")
      assert.strictEqual(yield* by(key), damaged)
      yield* write("STRIPE_API_KEY=x", "a passphrase")
      assert.strictEqual(yield* by(key), unfit)
      // A work factor that would take all memory.
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

  it.effect("tries again after a second what could not be opened: the key may be mended", () =>
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

  it.live("goes on through a change of the key, when the new one was given beside the old one before", () =>
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

  it.live("says what is wrong with the file of its key, and warns when every user may read it", () =>
    Effect.gen(function*() {
      const { key, path, write } = yield* made
      yield* write("STRIPE_API_KEY=x")
      const keyPath = `${path}.key`
      const given = EncryptedFile.keyFile(keyPath)
      const read = () => reading({ path, key: given })()
      assert.strictEqual(yield* read(), "unavailable: the file of its key is not there")
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

  it.live("is there again after an editor has moved it away and written it anew", () =>
    Effect.gen(function*() {
      const { path, read, write, key } = yield* made
      yield* write("STRIPE_API_KEY=first")
      yield* read()
      const bytes = yield* sealed("STRIPE_API_KEY=second", key)
      renameSync(path, `${path}~`)
      setTimeout(() => writeFileSync(path, bytes), 10)
      assert.strictEqual(yield* read(), "second")
    }).pipe(Effect.scoped))

  it.live("has its key by one variable, or by another that names its file", () =>
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

  it("takes no option out of its range", () => {
    const key = Redacted.make("k")
    assert.throws(() => EncryptedFile.make({ path: "", key }), /path/)
    assert.throws(() => EncryptedFile.make({ path: "/", key, name: "{tenant}" }), /name/)
    assert.throws(() => EncryptedFile.make({ path: "/", key, maxBytes: 0 }), /maxBytes/)
  })
})
