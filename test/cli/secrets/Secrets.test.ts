import * as Breakwater from "@breakwater/cli/Breakwater"
import { StandardInput } from "@breakwater/cli/secrets/StandardInput"
import { EncryptedFile } from "@breakwater/core/sources"
import { assert, describe, it } from "@effect/vitest"
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption"
import { ConfigProvider, Console, Effect, Redacted, type Scope } from "effect"
import { spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { format } from "node:util"
import * as SecretFiles from "../../fakes/SecretFiles.ts"
import { describeFrom } from "../../setup/DescribeFrom.ts"
import { until } from "../../watches/Until.ts"

const command = fileURLToPath(import.meta.resolve("@breakwater/cli/main"))
/** Node's compile cache, shared by the processes: loading modules is most of their cost. */
const compileCache = fileURLToPath(new URL("../../node_modules/.cache/compiled", import.meta.url))

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

/** Runs the command in its own process. */
const start = (
  words: ReadonlyArray<string>,
  env: Environment,
  input?: string
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.gen(function*() {
    const base = { PATH: process.env["PATH"], NODE_COMPILE_CACHE: compileCache }
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(process.execPath, [command, "secrets", ...words], { env: { ...base, ...env } })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const printed = { out: "", error: "" }
    child.stdout.on("data", (chunk: Buffer) => printed.out += chunk.toString())
    child.stderr.on("data", (chunk: Buffer) => printed.error += chunk.toString())
    child.stdin.on("error", () => {})
    if (input !== undefined) child.stdin.end(input)
    const ended = new Promise<Ended>((resolve) => child.once("close", (code) => resolve({ code, ...printed })))
    return { pid: child.pid!, ended: Effect.promise(() => ended) }
  })

const runApart = (words: ReadonlyArray<string>, env: Environment, input = "") =>
  Effect.scoped(Effect.flatMap(start(words, env, input), ({ ended }) => ended))

/** Runs the command in this process: an environment, standard input, and what is printed are its own. */
const run = (words: ReadonlyArray<string>, env: Environment, input: string | Buffer = ""): Effect.Effect<Ended> =>
  Effect.suspend(() => {
    const printed = { out: "", error: "" }
    const console: Console.Console = {
      ...globalThis.console,
      log: (...values: ReadonlyArray<unknown>) => printed.out += `${format(...values)}\n`,
      error: (...values: ReadonlyArray<unknown>) => printed.error += `${format(...values)}\n`
    }
    return Breakwater.run(["secrets", ...words]).pipe(
      Effect.map((code) => ({ code, ...printed })),
      Effect.provideService(Console.Console, console),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromUnknown(env)),
      Effect.provideService(StandardInput, { isTerminal: input === "a terminal", chunks: chunksOf(input) })
    )
  })

async function* chunksOf(input: string | Buffer): AsyncGenerator<Buffer> {
  if (input !== "endless") return yield Buffer.from(input)
  for (;;) yield Buffer.from("x".repeat(65_536))
}

const succeeded = (out = ""): Ended => ({ code: 0, out, error: "" })
const failed = (error: string): Ended => ({ code: 1, out: "", error: `breakwater secrets: ${error}\n` })

/** A key and a file with one secret, made with age's own library, and a function that decrypts it. */
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

/** The text of a file, decrypted with age's own library. */
const opened = (file: string, keyFile: string) =>
  Effect.promise(() => {
    const decrypter = new Decrypter()
    decrypter.addIdentity(readFileSync(keyFile, "utf8").split("\n")[1]!)
    return decrypter.decrypt(readFileSync(file), "text")
  })

/** An editor: a shell script, in which `$1` is the file. */
const editor = (directory: string, script: string) => {
  const path = join(directory, `editor-${randomUUID()}`)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o700)
  return { VISUAL: path, XDG_RUNTIME_DIR: directory }
}

describe("breakwater secrets", { concurrent: true }, () => {
  it.live("creates a key and a file that the source and age's own library can read, and other users cannot", () =>
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
      // Others encrypt to the printed recipient.
      const encrypter = new Encrypter()
      encrypter.addRecipient(recipient.trim())
      writeFileSync(file, yield* Effect.promise(() => encrypter.encrypt("FROM_ANOTHER=x")))
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("FROM_ANOTHER\n"))
    }).pipe(Effect.scoped))

  it.live("sets a secret in place, removes one, and keeps comments and order", () =>
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

  it.live("turns the file into JSON for a secret that no line can hold", () =>
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

  it.live("edits in a private file of a private directory, without the key in its environment, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const { directory, file, keyFile, text } = yield* made
      const key = readFileSync(keyFile, "utf8").split("\n")[1]!
      const seen = join(directory, "seen")
      const script = `stat -c %a "$1" "$(dirname "$1")" > ${seen}; echo "$1" >> ${seen}; env >> ${seen}
        touch "$1~"; echo EDITED=yes > "$1"`
      const secret = { CREDENTIALS_KEY: key, ...editor(directory, script) }
      assert.deepStrictEqual(yield* runApart(["edit", file], secret), succeeded())
      assert.strictEqual(yield* text, "EDITED=yes\n")
      const [mode, modeOfDirectory, draft, ...environment] = readFileSync(seen, "utf8").split("\n")
      assert.deepStrictEqual([mode, modeOfDirectory], ["600", "700"])
      assert.isFalse(existsSync(dirname(draft!)))
      assert.notInclude(environment.join(), key)
    }).pipe(Effect.scoped))

  it.live.each<[string, string, RegExp]>([
    ["fails", `echo EDITED=yes > "$1"; exit 3`, /the editor failed/],
    ["leaves an invalid text", `echo marked-secret > "$1"`, /the edited text is invalid: line 1/],
    ["removes the file", `rm "$1"`, /the edited file is gone/],
    ["leaves an empty file", `: > "$1"`, /the edited file is empty/]
  ])("changes nothing when the editor %s", ([, script, issue]) =>
    Effect.gen(function*() {
      const { bytes, directory, env, file } = yield* made
      const before = bytes()
      const { code, error, out } = yield* run(["edit", file], { ...env, ...editor(directory, script) })
      assert.deepStrictEqual([code, out], [1, ""])
      assert.match(error, issue)
      assert.match(error, /^breakwater secrets: nothing was changed: /)
      assert.notInclude(error, "marked")
      assert.isTrue(bytes().equals(before))
      assert.deepStrictEqual(readdirSync(directory).filter((name) => name.startsWith("breakwater-")), [])
    }).pipe(Effect.scoped))

  it.live("keeps the mode of the file that it replaces, so that a service that could read it still can", () =>
    Effect.gen(function*() {
      const { env, file } = yield* made
      for (const mode of [0o600, 0o640, 0o644]) {
        chmodSync(file, mode)
        assert.deepStrictEqual(yield* run(["set", file, "A_KEY"], env, String(mode)), succeeded())
        assert.strictEqual(statSync(file).mode & 0o777, mode)
      }
    }).pipe(Effect.scoped))

  it.live.each<[string, string]>([
    ["no final line end", "A=1"],
    ["two of them", "A=1\n\n"],
    ["Windows' line ends", "A=1\r\n"],
    ["JSON without one", "{\"A\":\"1\"}"],
    ["nothing in it", ""]
  ])("does not write a file that the editor left as it was: %s", ([, text]) =>
    Effect.gen(function*() {
      const { bytes, directory, env, file, keyFile } = yield* made
      yield* Effect.promise(async () => {
        const encrypter = new Encrypter()
        encrypter.addRecipient(await identityToRecipient(readFileSync(keyFile, "utf8").split("\n")[1]!))
        writeFileSync(file, await encrypter.encrypt(text))
      })
      const before = bytes()
      assert.deepStrictEqual(
        yield* run(["edit", file], { ...env, ...editor(directory, "exit 0") }),
        succeeded("nothing was changed\n")
      )
      assert.isTrue(bytes().equals(before))
    }).pipe(Effect.scoped))

  it.live("takes no value that is not text, and no byte order mark with it", () =>
    Effect.gen(function*() {
      const { bytes, env, file, text } = yield* made
      const before = bytes()
      for (const input of [Buffer.from([0x63, 0xe9]), Buffer.from([0xff, 0xfe, 0x73, 0x00])]) {
        const ended = yield* run(["set", file, "A_KEY"], env, input)
        assert.deepStrictEqual(ended, failed("standard input is not UTF-8 text"))
      }
      assert.isTrue(bytes().equals(before))
      const marked = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from("value\n")])
      assert.deepStrictEqual(yield* run(["set", file, "A_KEY"], env, marked), succeeded())
      assert.match(yield* text, /^A_KEY=value$/m)
    }).pipe(Effect.scoped))

  it.live("writes to the file behind a link, and does not replace a file with a new one", () =>
    Effect.gen(function*() {
      const { bytes, directory, env, file, keyFile } = yield* made
      const link = join(directory, "link")
      symlinkSync(file, link)
      assert.deepStrictEqual(yield* run(["set", link, "TWO"], env, "2"), succeeded())
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("STRIPE_API_KEY\nTWO\n"))
      const before = [bytes(), readFileSync(keyFile)]
      assert.deepStrictEqual(yield* run(["create", file], env), failed(`${file} already exists`))
      assert.deepStrictEqual(yield* run(["key", keyFile], env), failed(`${keyFile} already exists`))
      assert.deepStrictEqual([bytes(), readFileSync(keyFile)], before)
      assert.deepStrictEqual(readdirSync(directory).toSorted(), ["key", "link", "secrets.age"])
    }).pipe(Effect.scoped))

  it.live.each<[string, ReadonlyArray<string>, mistake: string]>([
    ["nothing", [], ""],
    ["an unknown command", ["marked", "f"], "breakwater secrets: unknown command\n"],
    ["no file", ["list"], "breakwater secrets list: the argument FILE is missing\n"],
    [
      "a value on the command line",
      ["set", "f", "NAME", "marked"],
      "breakwater secrets set: too many arguments\n"
    ],
    ["a value in a flag", ["set", "f", "NAME", "--marked=marked"], "breakwater secrets set: unknown flag\n"],
    ["more than one file", ["list", "f", "g"], "breakwater secrets list: too many arguments\n"],
    ["a file without a name", ["unset", "f"], "breakwater secrets unset: the argument NAME is missing\n"]
  ])(
    "prints help and the error, without the typed words, for %s",
    ([, words, mistake]) =>
      Effect.gen(function*() {
        const { code, error, out } = yield* run(words, {})
        assert.deepStrictEqual([code, out], [2, ""])
        assert.match(error, /^DESCRIPTION\n[^]*\nUSAGE\n {2}breakwater secrets /)
        assert.isTrue(error.endsWith(mistake), error)
        assert.notInclude(error, "marked")
      })
  )

  it.live("says what is missing or invalid, and no secret", () =>
    Effect.gen(function*() {
      const { env, file, secret } = yield* made
      const nowhere = join(dirname(file), "no", "where")
      const key = "exactly one of CREDENTIALS_KEY and CREDENTIALS_KEY_FILE must be set"
      const newKey = "exactly one of CREDENTIALS_NEW_KEY and CREDENTIALS_NEW_KEY_FILE must be set"
      const noIdentity = { CREDENTIALS_KEY: "AGE-SECRET-KEY-1MARKED" }
      const rows: ReadonlyArray<readonly [ReadonlyArray<string>, Environment, string, issue: string]> = [
        [["list", file], {}, "", key],
        [["list", file], { ...env, CREDENTIALS_KEY: "marked" }, "", key],
        [["list", file], { CREDENTIALS_KEY_FILE: `${file}.key` }, "", "the file of its key does not exist"],
        [["reencrypt", file], env, "", newKey],
        [["list", `${file}.not`], env, "", `${file}.not does not exist`],
        [["set", file, "A"], env, "\n", "standard input has no value"],
        [
          ["set", file, "A"],
          env,
          "a terminal",
          "the value would be visible: redirect it, as in `< value.txt`, or use edit"
        ],
        [["set", file, "A"], env, "endless", "standard input has more than 262144 bytes"],
        [["set", file, "A"], env, "x".repeat(262_144), `${file} would be larger than 262144 bytes`],
        [["set", file, "A=B"], env, secret, "invalid secret name"],
        [["create", nowhere], env, "", `${nowhere} cannot be written (ENOENT)`],
        [["list", file], noIdentity, "", `${file} cannot be used: its key is not an age identity`],
        [["create", `${file}.new`], noIdentity, "", `${file}.new cannot be used: its key is not an age identity`]
      ]
      yield* Effect.forEach(rows, ([words, env, input, issue]) =>
        Effect.map(run(words, env, input), (ended) =>
          assert.deepStrictEqual(ended, failed(issue))), {
        concurrency: 3
      })
    }).pipe(Effect.scoped))
})

describeFrom("check")("breakwater secrets, several processes and keys", { concurrent: true }, () => {
  it.live("does not write if nothing was edited, or if another process has written meanwhile", () =>
    Effect.gen(function*() {
      const { bytes, directory, env, file, keyFile } = yield* made
      const before = bytes()
      const idle = yield* run(["edit", file], { ...env, ...editor(directory, ":") })
      assert.deepStrictEqual(idle, succeeded("nothing was changed\n"))
      assert.isTrue(bytes().equals(before))
      const set =
        `echo other | CREDENTIALS_KEY_FILE=${keyFile} ${process.execPath} ${command} secrets set ${file} OTHER; echo MINE=1 > "$1"`
      const late = yield* run(["edit", file], { ...env, ...editor(directory, set) })
      assert.deepStrictEqual(late, failed(`nothing was changed: another process has changed ${file}`))
      assert.deepStrictEqual(yield* run(["list", file], env), succeeded("STRIPE_API_KEY\nOTHER\n"))
    }).pipe(Effect.scoped))

  it.live.each<[NodeJS.Signals]>([["SIGINT"], ["SIGTERM"], ["SIGHUP"], ["SIGQUIT"]])(
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

  it.live("re-encrypts to another key, so the old one no longer opens the file", () =>
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

  it.live("never shows a reader an incomplete file", () =>
    Effect.gen(function*() {
      const { bytes, env, file, keyFile } = yield* made
      const writing = { isOver: false }
      const set = Effect.map(
        Effect.suspend(() => runApart(["set", file, "STRIPE_API_KEY"], env, randomUUID())),
        (ended) => assert.deepStrictEqual(ended, succeeded())
      )
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
})
