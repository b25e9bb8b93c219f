#!/usr/bin/env node
/**
 * `breakwater-secrets`: makes and edits an encrypted file of secrets. No secret is printed, taken from the command line,
 * or left on a disk in the clear; a file is replaced whole or not at all.
 */
import type * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { randomUUID } from "node:crypto"
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdtempSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync
} from "node:fs"
import { tmpdir } from "node:os"
import { basename, dirname, join } from "node:path"
import * as Given from "../../credentials/Given.ts"
import { defaultMaxBytes, keyConfig } from "../EncryptedFile.ts"
import * as NearFile from "../NearFile.ts"
import * as Age from "./Age.ts"
import * as Document from "./Document.ts"

const usage = `Usage:
  breakwater-secrets create FILE        makes an empty file of secrets
  breakwater-secrets list FILE          the names in it
  breakwater-secrets set FILE NAME      the value comes from standard input
  breakwater-secrets unset FILE NAME
  breakwater-secrets edit FILE          opens it in $VISUAL or $EDITOR: lines of NAME=value, or JSON
  breakwater-secrets reencrypt FILE     with the key of CREDENTIALS_NEW_KEY or CREDENTIALS_NEW_KEY_FILE
  breakwater-secrets key KEY_FILE       makes a key, and prints what others can encrypt to it with

The key is CREDENTIALS_KEY, or in the file that CREDENTIALS_KEY_FILE names: an identity of age or a passphrase.
`

/** Why nothing was done, in a sentence that can be printed. */
class Refused extends Data.TaggedError("Refused")<{ readonly issue: string; readonly isUsage?: boolean }> {}

const refused = (issue: string) => new Refused({ issue })

const run = (words: ReadonlyArray<string>): Effect.Effect<string, Refused> => {
  const [command = "", file = "", name = "", ...more] = words
  const isOf = (count: number) => words.length === count && file !== "" && more.length === 0
  switch (command) {
    case "create":
      if (isOf(2)) return Effect.as(seal(file, "", keyOf("CREDENTIALS_KEY"), undefined), "")
      break
    case "list":
      if (isOf(2)) {
        return Effect.map(open(file), ({ secrets }) => [...secrets.keys()].map((name) => `${name}\n`).join(""))
      }
      break
    case "set":
      if (isOf(3)) return changed(file, name, Effect.flatMap(standardInput, valueOf))
      break
    case "unset":
      if (isOf(3)) return changed(file, name, Effect.undefined)
      break
    case "edit":
      if (isOf(2)) return Effect.scoped(edited(file))
      break
    case "reencrypt":
      if (isOf(2)) {
        return Effect.flatMap(
          open(file),
          ({ bytes, text }) => Effect.as(seal(file, text, keyOf("CREDENTIALS_NEW_KEY"), bytes), "")
        )
      }
      break
    case "key":
      if (isOf(2)) return keyMade(file)
      break
    case "help":
    case "--help":
      return Effect.succeed(usage)
  }
  return Effect.fail(new Refused({ issue: usage, isUsage: true }))
}

/** A secret set, or taken away. */
const changed = (file: string, name: string, value: Effect.Effect<string | undefined, Refused>) =>
  Effect.gen(function*() {
    if (!Document.isName(name)) return yield* refused("that is not a name that a secret can have")
    const { bytes, secrets, text } = yield* open(file)
    const to = yield* value
    if (to === undefined && !secrets.has(name)) return yield* refused(`${file} has no secret ${name}`)
    const next = yield* Effect.mapError(Document.change(text, name, to), ({ issue }) => refused(`${file} ${issue}`))
    yield* seal(file, next, keyOf("CREDENTIALS_KEY"), bytes)
    return ""
  })

const valueOf = (value: string): Effect.Effect<string, Refused> => {
  const trimmed = value.replace(/(?:\r?\n)+$/, "")
  return trimmed === "" ? Effect.fail(refused("standard input has no value")) : Effect.succeed(trimmed)
}

const standardInput: Effect.Effect<string, Refused> = Effect.gen(function*() {
  if (process.stdin.isTTY) {
    return yield* refused("the value would be seen: give it by a pipe, as in `< value.txt`, or use edit")
  }
  const chunks: Array<Buffer> = []
  let bytes = 0
  yield* Effect.tryPromise({
    try: async () => {
      for await (const chunk of process.stdin) {
        bytes += chunks[chunks.push(Buffer.from(chunk)) - 1]!.length
        if (bytes > defaultMaxBytes) break
      }
    },
    catch: () => refused("standard input cannot be read")
  })
  return bytes > defaultMaxBytes
    ? yield* refused(`standard input has more than ${defaultMaxBytes} bytes`)
    : Buffer.concat(chunks).toString("utf8")
})

/** In a private file of a private directory, in memory where there is such a place; both are gone at the end. */
const edited = (file: string): Effect.Effect<string, Refused, Scope.Scope> =>
  Effect.gen(function*() {
    const before = yield* open(file)
    const directory = yield* Effect.acquireRelease(privateDirectory, (directory) =>
      Effect.sync(() => rmSync(directory, { recursive: true, force: true })))
    const draft = join(directory, before.text.trimStart().startsWith("{") ? "secrets.json" : "secrets.env")
    yield* written(draft, Buffer.from(before.text), draft)
    yield* inEditor(draft)
    const after = yield* NearFile.read(draft, { maxBytes: defaultMaxBytes }).pipe(
      Effect.flatMap((found) =>
        found === undefined ? Effect.fail(NearFile.trouble("is gone")) : NearFile.textOf(found)
      ),
      Effect.mapError(({ issue }) => refused(`nothing is changed: what was edited ${issue}`))
    )
    const next = `${after}\n`
    if (next === before.text) return "nothing is changed\n"
    yield* Effect.mapError(Document.parse(next), ({ issue }) => refused(`nothing is changed: what was edited ${issue}`))
    yield* seal(file, next, keyOf("CREDENTIALS_KEY"), before.bytes)
    return ""
  })

const privateDirectory = Effect.suspend(() => {
  for (const parent of [process.env["XDG_RUNTIME_DIR"], "/dev/shm", tmpdir()]) {
    if (parent === undefined) continue
    try {
      return Effect.succeed(mkdtempSync(join(parent, "breakwater-secrets-")))
    } catch {
      // The next.
    }
  }
  return Effect.fail(refused("there is no place for a private directory"))
})

/** The editor is told to end when we are, and waited for: what it writes at its end is in the directory too. */
const inEditor = (draft: string): Effect.Effect<void, Refused> =>
  Effect.callback((resume) => {
    const editor = process.env["VISUAL"] || process.env["EDITOR"] || "vi"
    const { CREDENTIALS_KEY: _, CREDENTIALS_NEW_KEY: __, ...env } = process.env
    const child = spawn("/bin/sh", ["-c", `exec ${editor} "$1"`, "sh", draft], { stdio: "inherit", env })
    child.once("error", () => resume(Effect.fail(refused("nothing is changed: there is no shell for the editor"))))
    child.once("exit", (code) =>
      resume(code === 0 ? Effect.void : Effect.fail(refused("nothing is changed: the editor did not end well"))))
    return ended(child)
  })

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGTERM")
  }).pipe(
    Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.sync(() => void child.kill("SIGKILL")) })
  )

const keyMade = (file: string): Effect.Effect<string, Refused> =>
  Effect.gen(function*() {
    const { key, recipient } = yield* Effect.mapError(Age.newKey, ({ issue }) => refused(`making a key ${issue}`))
    yield* replaced(file, Buffer.from(`# ${recipient}\n${Redacted.value(key)}\n`), undefined)
    return `${recipient}\n`
  })

interface Open {
  readonly bytes: Buffer
  readonly text: string
  readonly secrets: Document.Secrets
}

const open = (file: string): Effect.Effect<Open, Refused> =>
  Effect.gen(function*() {
    const found = yield* NearFile.read(file, { maxBytes: defaultMaxBytes })
    if (found === undefined) return yield* Effect.fail(NearFile.trouble("is not there"))
    const text = yield* Age.decrypt(found.bytes, yield* keyOf("CREDENTIALS_KEY"))
    return { bytes: found.bytes, text, secrets: yield* Document.parse(text) }
  }).pipe(Effect.mapError((error) => error._tag === "Trouble" ? refused(`${file} ${error.issue}`) : error))

/** Encrypts a text to a file, in place of what is known to be there. */
const seal = (
  file: string,
  text: string,
  key: Effect.Effect<Redacted.Redacted, Refused>,
  before: Buffer | undefined
): Effect.Effect<void, Refused> =>
  Effect.gen(function*() {
    const sealed = yield* Effect.mapError(Age.encrypt(text, yield* key), ({ issue }) => refused(`${file} ${issue}`))
    if (sealed.length > defaultMaxBytes) return yield* refused(`${file} would be larger than ${defaultMaxBytes} bytes`)
    yield* replaced(file, sealed, before)
  })

const keyOf = (variable: string): Effect.Effect<Redacted.Redacted, Refused> =>
  Effect.gen(function*() {
    const given = yield* keyConfig(variable).parse(ConfigProvider.fromEnv())
    return yield* Given.read(given)
  }).pipe(Effect.mapError((error) =>
    refused(
      error instanceof Config.ConfigError
        ? `exactly one of ${variable} and ${variable}_FILE must be there`
        : error.issue
    )
  ))

/**
 * Writes a file whole, for nobody else to read, and only then gives it its name: a reader finds the old one or the new
 * one, also after a loss of power. A new file takes nobody's name away.
 */
const replaced = (file: string, bytes: Uint8Array, before: Buffer | undefined): Effect.Effect<void, Refused> =>
  Effect.gen(function*() {
    const target = before === undefined ? file : yield* realPath(file)
    const draft = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
    yield* written(draft, bytes, target).pipe(
      Effect.andThen(before === undefined ? named(draft, file) : exchanged(draft, target, before)),
      Effect.ensuring(Effect.sync(() => rmSync(draft, { force: true })))
    )
    yield* Effect.ignore(Effect.try(() => synced(openSync(dirname(target), "r"))))
  })

const realPath = (file: string): Effect.Effect<string, Refused> =>
  Effect.try({ try: () => realpathSync.native(file), catch: () => refused(`${file} is not there any more`) })

const written = (path: string, bytes: Uint8Array, target: string): Effect.Effect<void, Refused> =>
  attempted(target, () => {
    const file = openSync(path, "wx", 0o600)
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
    } catch (cause) {
      closeSync(file)
      throw cause
    }
    synced(file)
  })

const named = (draft: string, file: string) => attempted(file, () => linkSync(draft, file))

const exchanged = (draft: string, target: string, before: Buffer): Effect.Effect<void, Refused> =>
  Effect.gen(function*() {
    const now = yield* Effect.mapError(
      NearFile.read(target, { maxBytes: defaultMaxBytes }),
      ({ issue }) => refused(issue)
    )
    if (now?.bytes.equals(before) !== true) {
      return yield* refused(`nothing is changed: somebody else has changed ${target} meanwhile`)
    }
    yield* attempted(target, () => renameSync(draft, target))
  })

const synced = (file: number): void => {
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

const attempted = (path: string, act: () => void): Effect.Effect<void, Refused> =>
  Effect.try({
    try: act,
    catch: (cause) => {
      const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
      return refused(code === "EEXIST" ? `${path} is there already` : `${path} cannot be written (${code})`)
    }
  })

const codeOf = (exit: Exit.Exit<string, Refused>): number => {
  if (Exit.isSuccess(exit)) {
    process.stdout.write(exit.value)
    return 0
  }
  const reason: Cause.Reason<Refused> | undefined = exit.cause.reasons[0]
  if (reason?._tag === "Interrupt") return 130
  if (reason?._tag !== "Fail") {
    process.stderr.write("breakwater-secrets: something went wrong; nothing is changed\n")
    return 1
  }
  const { issue, isUsage } = reason.error
  process.stderr.write(isUsage === true ? issue : `breakwater-secrets: ${issue}\n`)
  return isUsage === true ? 2 : 1
}

const fiber = Effect.runFork(run(process.argv.slice(2)))
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => fiber.interruptUnsafe())
fiber.addObserver((exit) => {
  process.exitCode = codeOf(exit)
  process.stdin.destroy()
})
