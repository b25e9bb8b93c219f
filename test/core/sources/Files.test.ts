import * as Credential from "@breakwater/core/credentials/Credential"
import * as Files from "@breakwater/core/sources/Files"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import { spawn, spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, unlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inspect } from "node:util"
import * as SecretFiles from "../../fakes/SecretFiles.ts"

const stripe = { vendor: "stripe", key: "" }
const name = "STRIPE_API_KEY"

/** The secret of a request, or the reason for its absence. */
const reading = (options: Files.FilesOptions) => {
  const source = Files.make(options)
  return (request: Credential.CredentialRequest = stripe) =>
    Effect.match(source.fetch(request), {
      onSuccess: (secret) => secret === undefined ? "none" : Redacted.value(secret.value),
      onFailure: ({ issue }) => `unavailable: ${issue}`
    })
}

/** A source for a new directory, and a function that writes to it. */
const made = (options: Partial<Files.FilesOptions> = {}) =>
  Effect.map(SecretFiles.directory, (directory) => ({
    directory,
    path: join(directory, name),
    read: reading({ directory, ...options }),
    write: (file: string, text: string | Uint8Array) => {
      writeFileSync(join(directory, file), text, { mode: 0o600 })
    }
  }))

describe("Files", () => {
  it.live("reads the secret of a vendor, and of its key, from files named like environment variables", () =>
    Effect.gen(function*() {
      const { read, write } = yield* made()
      const [one, eu] = [randomUUID(), randomUUID()]
      write("OPEN_EXCHANGE_RATES_API_KEY", one)
      write("OPEN_EXCHANGE_RATES_EU_API_KEY", eu)
      assert.strictEqual(yield* read({ vendor: "open-exchange-rates", key: "" }), one)
      assert.strictEqual(yield* read({ vendor: "open-exchange-rates", key: "eu" }), eu)
      assert.strictEqual(yield* read({ vendor: "open-exchange-rates", key: "us" }), "none")
    }).pipe(Effect.scoped))

  it.live("takes file names from a template, including its directories", () =>
    Effect.gen(function*() {
      const { directory, read, write } = yield* made({ name: "{vendor}/key-{key}" })
      mkdirSync(join(directory, "stripe"))
      write("stripe/key-eu", "of eu")
      write("stripe/key", "of all")
      assert.strictEqual(yield* read({ vendor: "stripe", key: "eu" }), "of eu")
      assert.strictEqual(yield* read(), "of all")
    }).pipe(Effect.scoped))

  it.live.each<[string, string]>([
    ["a secret\n", "a secret"],
    ["a secret\r\n\n", "a secret"],
    [" a secret \n", " a secret "],
    ["-----BEGIN\nMII\n-----END\n", "-----BEGIN\nMII\n-----END"],
    ["\uFEFFmarked\n", "marked"],
    ["\n", "unavailable: STRIPE_API_KEY is empty"]
  ])("reads %j as %j", ([text, secret]) =>
    Effect.gen(function*() {
      const { read, write } = yield* made()
      write(name, text)
      assert.strictEqual(yield* read(), secret)
    }).pipe(Effect.scoped))

  it.live.each(SecretFiles.ways)(
    "uses with the next attempt a file that was %s, even with the same length in the same tick",
    ([, change]) =>
      Effect.gen(function*() {
        const { path, read, write } = yield* made()
        write(name, randomUUID())
        yield* read()
        for (let round = 0; round < 200; round++) {
          const secret = randomUUID()
          change(path, secret)
          assert.strictEqual(yield* read(), secret)
        }
      }).pipe(Effect.scoped)
  )

  it.live("follows Kubernetes' links when it exchanges the directory behind them", () =>
    Effect.gen(function*() {
      const { directory, read } = yield* made()
      const volume = SecretFiles.mounted(directory)
      for (let round = 0; round < 50; round++) {
        const secret = randomUUID()
        volume.update({ [name]: `${secret}\n`, OTHER_API_KEY: "other" })
        assert.strictEqual(yield* read(), secret)
      }
      volume.update({ OTHER_API_KEY: "other" })
      assert.strictEqual(yield* read(), "none")
    }).pipe(Effect.scoped))

  it.live(
    "returns an old or a new secret, and fails no call, while another process keeps changing files",
    () =>
      Effect.gen(function*() {
        const { directory, read } = yield* made()
        const inPlace = join(directory, "IN_PLACE_API_KEY")
        const moved = join(directory, "MOVED_API_KEY")
        SecretFiles.mounted(directory).update({ [name]: "old" })
        writeFileSync(inPlace, "old")
        writeFileSync(moved, "old")
        chmodSync(inPlace, 0o600)
        chmodSync(moved, 0o600)
        assert.strictEqual(yield* read(), "old")
        assert.strictEqual(yield* read({ vendor: "moved", key: "" }), "old")
        const writer = yield* Effect.acquireRelease(
          Effect.sync(() =>
            spawn(process.execPath, ["-e", writing, directory, inPlace, moved], { stdio: ["pipe", "pipe", "inherit"] })
          ),
          (writer) => Effect.sync(() => writer.kill("SIGKILL"))
        )
        const seen = new Set<string>()
        while (writer.exitCode === null) {
          for (const vendor of ["stripe", "in-place", "moved"]) seen.add(yield* read({ vendor, key: "" }))
          yield* Effect.yieldNow
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
        assert.strictEqual(writer.exitCode, 0)
        assert.deepStrictEqual([...seen].toSorted().filter((one) => !/^(?:old|new \d+)$/.test(one)), [])
        assert.isAbove(seen.size, 3)
      }).pipe(Effect.scoped)
  )

  it.live("returns no secret once a file is removed, and returns it when it is back", () =>
    Effect.gen(function*() {
      const { path, read, write } = yield* made()
      write(name, "first")
      assert.strictEqual(yield* read(), "first")
      unlinkSync(path)
      assert.strictEqual(yield* read(), "none")
      // What was not there a moment ago is not waited for.
      const isWaitedFor = Effect.provide(read(), TestClock.layer())
      assert.strictEqual(yield* isWaitedFor, "none")
      write(name, "second")
      assert.strictEqual(yield* read(), "second")
    }).pipe(Effect.scoped))

  it.live("is unavailable, rather than without a secret, while the directory is missing", () =>
    Effect.gen(function*() {
      const { directory, read, write } = yield* made()
      rmSync(directory, { recursive: true })
      assert.strictEqual(yield* read(), "unavailable: its directory does not exist")
      mkdirSync(directory)
      assert.strictEqual(yield* read(), "none")
      write(name, "mounted")
      assert.strictEqual(yield* read(), "mounted")
    }).pipe(Effect.scoped))

  it.live("waits a moment for an empty file, and then reports it", () =>
    Effect.gen(function*() {
      const { path, read, write } = yield* made()
      write(name, "")
      setTimeout(() => write(name, "written"), 5)
      assert.strictEqual(yield* read(), "written")
      truncateSync(path)
      assert.strictEqual(yield* read(), "unavailable: STRIPE_API_KEY is empty, or still being written")
    }).pipe(Effect.scoped))

  it.live.each([
    "..",
    ".",
    "../outside",
    "eu/../../outside",
    "/etc/passwd",
    "..\\outside",
    "eu\u0000",
    "eu\n",
    "é",
    "a."
  ])(
    "has no secret for the key %j, which would lead out of the directory",
    (key) =>
      Effect.gen(function*() {
        const { directory } = yield* made()
        const inside = join(directory, "inside")
        mkdirSync(inside)
        writeFileSync(join(directory, "outside"), "outside")
        writeFileSync(join(directory, "STRIPE_OUTSIDE_API_KEY"), "outside")
        writeFileSync(join(inside, "STRIPE_OUTSIDE_API_KEY"), "of another key")
        for (const template of ["{key}", "{vendor}/{key}", "{vendor}{key}", undefined]) {
          assert.strictEqual(yield* reading({ directory: inside, name: template })({ vendor: "stripe", key }), "none")
        }
      }).pipe(Effect.scoped)
  )

  it.effect.prop(
    "reads no file outside of its directory, for any vendor and key",
    [Schema.String, Schema.String, Schema.Literals(["", "../", "/", "..", "%2e%2e/", "..\\"])],
    ([vendor, key, lead]) =>
      Effect.gen(function*() {
        const directory = yield* SecretFiles.directory
        const inside = join(directory, "inside")
        mkdirSync(inside)
        writeFileSync(join(directory, "outside"), "outside")
        for (
          const request of [{ vendor: lead + vendor, key }, { vendor, key: lead + key }, {
            vendor: "v",
            key: `${lead}outside`
          }]
        ) {
          for (const template of ["{vendor}/{key}", "{key}", undefined]) {
            assert.strictEqual(yield* reading({ directory: inside, name: template })(request), "none")
          }
        }
      }).pipe(Effect.scoped)
  )

  it.live("follows links within the directory, and none that lead out of it", () =>
    Effect.gen(function*() {
      const { directory } = yield* made()
      const inside = join(directory, "inside")
      mkdirSync(inside)
      mkdirSync(join(directory, "inside-not"))
      const read = reading({ directory: inside })
      for (const target of ["../outside", join(directory, "outside"), "../inside-not/outside"]) {
        writeFileSync(join(directory, "outside"), "outside")
        writeFileSync(join(directory, "inside-not", "outside"), "outside")
        symlinkSync(target, join(inside, name))
        assert.strictEqual(yield* read(), "unavailable: STRIPE_API_KEY leads out of its directory")
        unlinkSync(join(inside, name))
      }
      writeFileSync(join(inside, "elsewhere"), "inside", { mode: 0o600 })
      symlinkSync("elsewhere", join(inside, name))
      assert.strictEqual(yield* read(), "inside")
      // The directory itself may be a link, too.
      symlinkSync(inside, join(directory, "link"))
      assert.strictEqual(yield* reading({ directory: join(directory, "link") })(), "inside")
    }).pipe(Effect.scoped))

  it.live("neither blocks nor reads much on anything but a regular file", () =>
    Effect.gen(function*() {
      const { directory, path, read, write } = yield* made({ maxBytes: 10 })
      mkdirSync(path)
      assert.strictEqual(yield* read(), "unavailable: STRIPE_API_KEY is not a file")
      rmSync(path, { recursive: true })
      spawnSync("/usr/bin/mkfifo", [path])
      assert.strictEqual(yield* read(), "unavailable: STRIPE_API_KEY is not a file")
      unlinkSync(path)
      symlinkSync(name, path)
      assert.strictEqual(yield* read(), "unavailable: STRIPE_API_KEY cannot be read (ELOOP)")
      unlinkSync(path)
      write(name, "x".repeat(11))
      assert.strictEqual(yield* read(), "unavailable: STRIPE_API_KEY is larger than 10 bytes")
      write(name, "x".repeat(10))
      assert.strictEqual(yield* read(), "x".repeat(10))
      write(name, Buffer.from([0xc3, 0x28]))
      assert.strictEqual(yield* read(), "unavailable: STRIPE_API_KEY is not UTF-8 text")
      write(name, "x".repeat(65_536))
      assert.strictEqual(yield* reading({ directory })(), "x".repeat(65_536))
      write(name, "x".repeat(65_537))
      assert.strictEqual(yield* reading({ directory })(), "unavailable: STRIPE_API_KEY is larger than 65536 bytes")
    }).pipe(Effect.scoped))

  it.live("warns once if every user of the machine may read or write a secret", () =>
    Effect.gen(function*() {
      const { directory, path, write } = yield* made()
      const secret = randomUUID()
      write(name, secret)
      const logged: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void logged.push(inspect(message)))])
      const warnings = (mode: number) =>
        Effect.gen(function*() {
          logged.length = 0
          chmodSync(path, mode)
          const source = Files.make({ directory })
          yield* source.fetch(stripe)
          yield* source.fetch(stripe)
          assert.notInclude(logged.join(), secret)
          return logged.length
        }).pipe(Effect.provide(logger))
      for (const [mode, count] of [[0o600, 0], [0o400, 0], [0o640, 0], [0o644, 1], [0o602, 1]] as const) {
        assert.strictEqual(yield* warnings(mode), count, mode.toString(8))
      }
      logged.length = 0
      chmodSync(path, 0o644)
      yield* Effect.provide(Files.make({ directory }).fetch(stripe), logger)
      assert.match(logged.join(), /STRIPE_API_KEY.*0600/)
    }).pipe(Effect.scoped))

  it.live("fails a call as unavailable, and logs the cause once as long as it persists", () =>
    Effect.gen(function*() {
      const { directory, path } = yield* made()
      const logged: Array<string> = []
      const logger = Logger.layer([Logger.make(({ message }) => void logged.push(inspect(message)))])
      const { read } = Credential.fromSource(Files.make({ directory }))
      const problem = Effect.map(Effect.flip(read(stripe)), ({ problem }) => problem).pipe(Effect.provide(logger))
      assert.strictEqual(yield* problem, "Missing")
      assert.lengthOf(logged, 0)
      mkdirSync(path)
      assert.strictEqual(yield* problem, "Unreachable")
      assert.strictEqual(yield* problem, "Unreachable")
      assert.lengthOf(logged, 1)
      assert.include(logged[0], "STRIPE_API_KEY is not a file")
      rmSync(path, { recursive: true })
      writeFileSync(path, "x", { mode: 0o600 })
      yield* read(stripe)
      renameSync(path, `${path}~`)
      mkdirSync(path)
      assert.strictEqual(yield* problem, "Unreachable")
      assert.lengthOf(logged, 2)
    }).pipe(Effect.scoped))

  it("rejects options out of their range", () => {
    assert.throws(() => Files.make({ directory: "" }), /directory/)
    assert.throws(() => Files.make({ directory: "/", name: "{tenant}" }), /name/)
    assert.throws(() => Files.make({ directory: "/", maxBytes: 0 }), /maxBytes/)
  })
})

/** For a second, swaps the volume, writes in place, and moves files away and back, as fast as possible. */
const writing = `
const fs = require("node:fs"), { join } = require("node:path")
const [root, inPlace, moved] = process.argv.slice(1)
let old = "..2026_11_23_1"
for (let i = 1, until = Date.now() + 1000; Date.now() < until; i++) {
  const next = "..next_" + i
  fs.mkdirSync(join(root, next))
  fs.writeFileSync(join(root, next, "${name}"), "new " + i, { mode: 0o600 })
  fs.symlinkSync(next, join(root, "..data_tmp"))
  fs.renameSync(join(root, "..data_tmp"), join(root, "..data"))
  fs.rmSync(join(root, old), { recursive: true })
  old = next
  if (i % 5 === 0) fs.writeFileSync(inPlace, "new " + i)
  fs.renameSync(moved, moved + "~")
  fs.writeFileSync(moved, "new " + i, { mode: 0o600 })
}
`
