import { EncryptedFile } from "@breakwater/core/sources"
import { assert, describe, it } from "@effect/vitest"
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption"
import { Effect, Redacted, type Scope } from "effect"
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import * as SecretFiles from "../../fakes/SecretFiles.ts"
import * as CompileCache from "../../processes/CompileCache.ts"
import { describeFrom } from "../../setup/DescribeFrom.ts"
import { until } from "../../watches/Until.ts"

const command = fileURLToPath(new URL("../../../packages/cli/src/main.ts", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

interface Running {
  readonly pid: number
  readonly ended: Effect.Effect<Ended>
}

type Environment = Readonly<Record<string, string>>

/** Starts the command as a process of its own. */
const start = (
  words: ReadonlyArray<string>,
  env: Environment,
  input?: string
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function*() {
    const base = { PATH: process.env["PATH"], ...CompileCache.environment }
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [command, "secrets", ...words], { env: { ...base, ...env } })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const printed = { out: "", error: "" }
    child.stdout.on("data", (chunk: Buffer) => printed.out += chunk.toString())
    child.stderr.on("data", (chunk: Buffer) => printed.error += chunk.toString())
    child.stdin.on("error", () => {})
    if (input === "endless") child.stdin.write("x".repeat(400_000))
    else if (input !== undefined) child.stdin.end(input)
    const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, ...printed })))
    return { pid: child.pid!, ended: Effect.promise(() => ended) }
  })

const run = (words: ReadonlyArray<string>, env: Environment, input = "") =>
  Effect.scoped(Effect.flatMap(start(words, env, input), ({ ended }) => ended))

const succeeded = (out = ""): Ended => ({ code: 0, out, error: "" })
const failed = (error: string): Ended => ({ code: 1, out: "", error: `breakwater secrets: ${error}\n` })

/** A key and a file with one secret, by age's own library, and how to look into it. */
const made = Effect.gen(function*() {
  const directory = yield* SecretFiles.directory
  const [file, keyFile] = [join(directory, "secrets.age"), join(directory, "key")]
  const secret = randomUUID()
  yield* Effect.promise(async () => {
    const key = await generateX25519Identity()
    const encrypter = new Encrypter()
    encrypter.addRecipient(await identityToRecipient(key))
    writeFileSync(keyFile, `# a key\n${key}\n`, { mode: 0o600 })
    writeFileSync(file, await encrypter.encrypt(`STRIPE_API_KEY=${secret}\n`), { mode: 0o600 })
  })
  return {
    directory,
    file,
    keyFile,
    env: { CREDENTIALS_KEY_FILE: keyFile },
    secret,
    bytes: () => readFileSync(file),
    text: opened(file, keyFile)
  }
})

/** The text of a file, by age's own library. */
const opened = (file: string, keyFile: string) =>
  Effect.promise(() => {
    const decrypter = new Decrypter()
    decrypter.addIdentity(readFileSync(keyFile, "utf8").split("\n")[1]!)
    return decrypter.decrypt(readFileSync(file), "text")
  })

/** An editor: a program of the shell, in which `$1` is the file. */
const editor = (directory: string, script: string) => {
  const path = join(directory, `editor-${randomUUID()}`)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o700)
  return { VISUAL: path, XDG_RUNTIME_DIR: directory }
}

describe("breakwater secrets", { timeout: 120_000, concurrent: true }, () => {
  it.live("makes a key and a file that its source reads and age's own library opens, for nobody else to read", () =>
    Effect.gen(function*() {
      const directory = yield* SecretFiles.directory
      const [file, keyFile] = [join(directory, "secrets.age"), join(directory, "key")]
      const env = { CREDENTIALS_KEY_FILE: keyFile }
      const { out: recipient } = yield* run(["key", keyFile], {})
      assert.deepStrictEqual(yield* run(["create", file], env), succeeded())
      const secret = randomUUID()
      assert.deepStrictEqual(yield* run(["set", file, "STRIPE_API_KEY"], env, `${secret}\n`), succeeded())
      assert.strictEqual(yield* opened(file, keyFile), `STRIPE_API_KEY=${secret}\n`)
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("STRIPE_API_KEY\n"))
      const source = EncryptedFile.make({ path: file, key: EncryptedFile.keyFile(keyFile) })
      assert.strictEqual(Redacted.value((yield* source.fetch({ vendor: "stripe", key: "" }))!.value), secret)
      for (const path of [file, keyFile]) assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      assert.deepStrictEqual(readdirSync(directory).toSorted(), ["key", "secrets.age"])
      // What was printed is what others encrypt to it with.
      const encrypter = new Encrypter()
      encrypter.addRecipient(recipient.trim())
      writeFileSync(file, yield* Effect.promise(() => encrypter.encrypt("FROM_ANOTHER=x")))
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("FROM_ANOTHER\n"))
    }).pipe(Effect.scoped))
})

describeFrom("check")("breakwater secrets, in full", { timeout: 120_000, concurrent: true }, () => {
  it.live("sets a secret in place, takes one away, and keeps comments and order", () =>
    Effect.gen(function*() {
      const { env, file, text } = yield* made
      const two = randomUUID()
      yield* run(["set", file, "TWO"], env, two)
      yield* run(["edit", file], { ...env, ...editor(dirname(file), `echo '# the end' >> "$1"`) })
      const changed = randomUUID()
      assert.deepStrictEqual(yield* run(["set", file, "STRIPE_API_KEY"], env, `${changed}\r\n`), succeeded())
      assert.strictEqual(yield* text, `STRIPE_API_KEY=${changed}\nTWO=${two}\n# the end\n`)
      assert.deepStrictEqual(yield* run(["unset", file, "STRIPE_API_KEY"], env), succeeded())
      assert.strictEqual(yield* text, `TWO=${two}\n# the end\n`)
      assert.deepStrictEqual(yield* run(["unset", file, "THREE"], env), failed(`${file} has no secret THREE`))
    }).pipe(Effect.scoped))

  it.live("makes the file JSON for a secret that no line can hold", () =>
    Effect.gen(function*() {
      const { env, file, secret, text } = yield* made
      yield* run(["set", file, "PEM"], env, "BEGIN\nEND\n")
      yield* run(["set", file, "TWO"], env, "2")
      const all = { STRIPE_API_KEY: secret, PEM: "BEGIN\nEND", TWO: "2" }
      assert.deepStrictEqual(JSON.parse(yield* text), all)
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("STRIPE_API_KEY\nPEM\nTWO\n"))
      yield* run(["unset", file, "PEM"], env)
      assert.deepStrictEqual(JSON.parse(yield* text), { STRIPE_API_KEY: secret, TWO: "2" })
      yield* run(["set", file, "QUOTED"], env, `"quoted"`)
      assert.strictEqual((JSON.parse(yield* text) as Record<string, string>)["QUOTED"], `"quoted"`)
    }).pipe(Effect.scoped))

  it.live("edits in a private file of a private directory, without the key in sight, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { directory, file, keyFile, text } = yield* made
      const key = readFileSync(keyFile, "utf8").split("\n")[1]!
      const seen = join(directory, "seen")
      const script = `stat -c %a "$1" "$(dirname "$1")" > ${seen}; echo "$1" >> ${seen}; env >> ${seen}
        touch "$1~"; echo EDITED=yes > "$1"`
      const secret = { CREDENTIALS_KEY: key, ...editor(directory, script) }
      assert.deepStrictEqual(yield* run(["edit", file], secret), succeeded())
      assert.strictEqual(yield* text, "EDITED=yes\n")
      const [mode, modeOfDirectory, draft, ...environment] = readFileSync(seen, "utf8").split("\n")
      assert.deepStrictEqual([mode, modeOfDirectory], ["600", "700"])
      assert.isFalse(existsSync(dirname(draft!)))
      assert.notInclude(environment.join(), key)
    }).pipe(Effect.scoped))

  it.live.each<[string, string, RegExp]>([
    ["does not end well", `echo EDITED=yes > "$1"; exit 3`, /the editor did not end well/],
    ["leaves what cannot be read", `echo marked-secret > "$1"`, /the edited text is not as it must be: line 1/],
    ["takes the file away", `rm "$1"`, /the edited file is gone/],
    ["leaves nothing", `: > "$1"`, /the edited file is empty/]
  ])("changes nothing when the editor %s", ([, script, issue]) =>
    Effect.gen(function*() {
      const { bytes, directory, env, file } = yield* made
      const before = bytes()
      const { code, error, out } = yield* run(["edit", file], { ...env, ...editor(directory, script) })
      assert.deepStrictEqual([code, out], [1, ""])
      assert.match(error, issue)
      assert.match(error, /^breakwater secrets: nothing is changed: /)
      assert.notInclude(error, "marked")
      assert.isTrue(bytes().equals(before))
      assert.deepStrictEqual(readdirSync(directory).filter((name) => name.startsWith("breakwater-")), [])
    }).pipe(Effect.scoped))

  it.live("does not write when nothing was edited, or when somebody else has written meanwhile", () =>
    Effect.gen(function*() {
      const { bytes, directory, env, file, keyFile } = yield* made
      const before = bytes()
      const idle = yield* run(["edit", file], { ...env, ...editor(directory, ":") })
      assert.deepStrictEqual(idle, succeeded("nothing is changed\n"))
      assert.isTrue(bytes().equals(before))
      const set =
        `echo other | CREDENTIALS_KEY_FILE=${keyFile} ${process.execPath} ${command} secrets set ${file} OTHER; echo MINE=1 > "$1"`
      const late = yield* run(["edit", file], { ...env, ...editor(directory, set) })
      assert.deepStrictEqual(late, failed(`nothing is changed: another process has changed ${file} meanwhile`))
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("STRIPE_API_KEY\nOTHER\n"))
    }).pipe(Effect.scoped))

  it.live.each<["SIGINT" | "SIGTERM" | "SIGHUP"]>([["SIGINT"], ["SIGTERM"], ["SIGHUP"]])(
    "removes what it has decrypted, ends the editor and changes nothing on %s",
    ([signal]) =>
      Effect.gen(function*() {
        const { bytes, directory, env, file } = yield* made
        const before = bytes()
        const seen = join(directory, "seen")
        const script = `echo $$ > ${seen}.new; echo "$1" >> ${seen}.new; mv ${seen}.new ${seen}; exec sleep 60`
        const { ended, pid } = yield* start(["edit", file], { ...env, ...editor(directory, script) })
        yield* until("the editor runs", () => existsSync(seen))
        const [editorPid, draft] = readFileSync(seen, "utf8").split("\n")
        assert.include(readFileSync(draft!, "utf8"), "STRIPE_API_KEY")
        process.kill(pid, signal)
        assert.deepStrictEqual(yield* ended, { code: 130, out: "", error: "" })
        assert.isFalse(existsSync(dirname(draft!)))
        assert.throws(() => process.kill(Number(editorPid), 0), /ESRCH/)
        assert.isTrue(bytes().equals(before))
      }).pipe(Effect.scoped)
  )

  it.live("encrypts anew to another key, which the old one does not open", () =>
    Effect.gen(function*() {
      const { directory, env, file, secret, text } = yield* made
      const next = join(directory, "next")
      yield* run(["key", next], {})
      assert.deepStrictEqual(yield* run(["reencrypt", file], { ...env, CREDENTIALS_NEW_KEY_FILE: next }), succeeded())
      assert.strictEqual(yield* opened(file, next), `STRIPE_API_KEY=${secret}\n`)
      assert.deepStrictEqual(yield* run(["list", file], env), failed(`${file} is not encrypted to this key`))
      assert.isTrue((yield* Effect.exit(text))._tag === "Failure")
      const passphrase = randomUUID()
      yield* run(["reencrypt", file], { CREDENTIALS_KEY_FILE: next, CREDENTIALS_NEW_KEY: passphrase })
      assert.deepStrictEqual(yield* run(["list", file], { CREDENTIALS_KEY: passphrase }), succeeded("STRIPE_API_KEY\n"))
    }).pipe(Effect.scoped))

  it.live("writes to the file behind a link, and takes no file's place with a new one", () =>
    Effect.gen(function*() {
      const { bytes, directory, env, file, keyFile } = yield* made
      const link = join(directory, "link")
      symlinkSync(file, link)
      assert.deepStrictEqual(yield* run(["set", link, "TWO"], env, "2"), succeeded())
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("STRIPE_API_KEY\nTWO\n"))
      const before = [bytes(), readFileSync(keyFile)]
      assert.deepStrictEqual(yield* run(["create", file], env), failed(`${file} is there already`))
      assert.deepStrictEqual(yield* run(["key", keyFile], env), failed(`${keyFile} is there already`))
      assert.deepStrictEqual([bytes(), readFileSync(keyFile)], before)
      assert.deepStrictEqual(readdirSync(directory).toSorted(), ["key", "link", "secrets.age"])
    }).pipe(Effect.scoped))

  it.live("never has a reader see less than a whole file", () =>
    Effect.gen(function*() {
      const { bytes, env, file, keyFile } = yield* made
      const writing = { isOver: false }
      const set = Effect.suspend(() => run(["set", file, "STRIPE_API_KEY"], env, randomUUID()))
      const writer = Effect.ensuring(
        Effect.repeat(set, { times: 4 }),
        Effect.sync(() => {
          writing.isOver = true
        })
      )
      const reader = Effect.gen(function*() {
        const seen = new Map<string, Buffer>()
        while (!writing.isOver) {
          const now = bytes()
          seen.set(now.toString("latin1"), now)
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
        return seen
      })
      const [seen] = yield* Effect.all([reader, writer], { concurrency: 2 })
      assert.isAtLeast(seen.size, 5)
      for (const whole of seen.values()) {
        writeFileSync(file, whole)
        assert.match(yield* opened(file, keyFile), /^STRIPE_API_KEY=[\w-]{36}\n$/)
      }
    }).pipe(Effect.scoped))

  it.live.each<[string, ReadonlyArray<string>, mistake: string]>([
    ["nothing", [], ""],
    ["an unknown command", ["marked", "f"], "breakwater secrets: the command is unknown\n"],
    ["no file", ["list"], "breakwater secrets list: the argument FILE is missing\n"],
    [
      "a value on the command line",
      ["set", "f", "NAME", "marked"],
      "breakwater secrets set: there is an argument too many\n"
    ],
    ["a value in a flag", ["set", "f", "NAME", "--marked=marked"], "breakwater secrets set: a flag is unknown\n"],
    ["more than one file", ["list", "f", "g"], "breakwater secrets list: there is an argument too many\n"],
    ["a file without a name", ["unset", "f"], "breakwater secrets unset: the argument NAME is missing\n"]
  ])(
    "prints help and the mistake, without the words that were typed, when it is told %s",
    ([, words, mistake]) =>
      Effect.gen(function*() {
        const { code, error, out } = yield* run(words, {})
        assert.deepStrictEqual([code, out], [2, ""])
        assert.match(error, /^DESCRIPTION\n[^]*\nUSAGE\n {2}breakwater secrets /)
        assert.isTrue(error.endsWith(mistake), error)
        assert.notInclude(error, "marked")
      })
  )

  it.live("says what is missing or wrong, and no secret", () =>
    Effect.gen(function*() {
      const { env, file, secret } = yield* made
      const nowhere = join(dirname(file), "no", "where")
      const key = "exactly one of CREDENTIALS_KEY and CREDENTIALS_KEY_FILE must be there"
      const newKey = "exactly one of CREDENTIALS_NEW_KEY and CREDENTIALS_NEW_KEY_FILE must be there"
      const noIdentity = { CREDENTIALS_KEY: "AGE-SECRET-KEY-1MARKED" }
      const rows: ReadonlyArray<readonly [ReadonlyArray<string>, Environment, string, issue: string]> = [
        [["list", file], {}, "", key],
        [["list", file], { ...env, CREDENTIALS_KEY: "marked" }, "", key],
        [["list", file], { CREDENTIALS_KEY_FILE: `${file}.key` }, "", "the file of its key is not there"],
        [["reencrypt", file], env, "", newKey],
        [["list", `${file}.not`], env, "", `${file}.not is not there`],
        [["set", file, "A"], env, "\n", "standard input has no value"],
        [["set", file, "A"], env, "endless", "standard input has more than 262144 bytes"],
        [["set", file, "A"], env, "x".repeat(262_144), `${file} would be larger than 262144 bytes`],
        [["set", file, "A=B"], env, secret, "that is not a name that a secret can have"],
        [["create", nowhere], env, "", `${nowhere} cannot be written (ENOENT)`],
        [["list", file], noIdentity, "", `${file} cannot be used: its key is no identity of age`],
        [["create", `${file}.new`], noIdentity, "", `${file}.new cannot be used: its key is no identity of age`]
      ]
      yield* Effect.forEach(rows, ([words, env, input, issue]) =>
        Effect.map(run(words, env, input), (ended) =>
          assert.deepStrictEqual(ended, failed(issue))), {
        concurrency: 3
      })
    }).pipe(Effect.scoped))
})
