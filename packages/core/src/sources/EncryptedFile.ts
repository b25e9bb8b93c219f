/**
 * Secrets in one encrypted file, which may be deployed with the program or committed to its repository. The format is
 * that of age, so age's own tools open it too. The file is read for every attempt and decrypted when it has changed, so
 * a change takes effect with the next attempt. The decrypted secrets stay in memory until then. `breakwater secrets`
 * creates and edits the file.
 *
 * @example
 * ```ts
 * import { Credential } from "@breakwater/core/credentials"
 * import { EncryptedFile } from "@breakwater/core/sources"
 * import { Encrypter } from "age-encryption"
 * import { Effect, Redacted } from "effect"
 * import { mkdtempSync, writeFileSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * // The command does the same, with a work factor that makes guessing more expensive.
 * const encrypter = new Encrypter()
 * encrypter.setPassphrase("of the deployment")
 * encrypter.setScryptWorkFactor(10)
 * const path = join(mkdtempSync(join(tmpdir(), "secrets-")), "secrets.age")
 * writeFileSync(path, await encrypter.encrypt("STRIPE_API_KEY=from the file\n"))
 *
 * const credentials = EncryptedFile.layer({ path, key: Redacted.make("of the deployment") })
 * const program = Effect.gen(function*() {
 *   const { read } = yield* Credential.Credentials
 *   console.log(Redacted.value(yield* read({ vendor: "stripe", key: "" }))) // => from the file
 * })
 * await Effect.runPromise(Effect.provide(program, credentials))
 * ```
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { Credentials, fromSource } from "../credentials/Credential.ts"
import * as Naming from "../credentials/Naming.ts"
import { type Source, type SourceUnavailable, sourceUnavailable } from "../credentials/Source.ts"
import * as SourceSecret from "../credentials/SourceSecret.ts"
import * as Range from "../Range.ts"
import * as Timeline from "../Timeline.ts"
import * as Age from "./EncryptedFile/Age.ts"
import * as Document from "./EncryptedFile/Document.ts"
import * as EnvironmentOptions from "./EnvironmentOptions.ts"
import * as LocalFile from "./LocalFile.ts"

export { decrypt, encrypt, newKey } from "./EncryptedFile/Age.ts"
export { change, isName, parse, type Secrets } from "./EncryptedFile/Document.ts"

export interface EncryptedFileOptions {
  /** The path of the file. It contains lines of `NAME=value`, or a JSON object of strings. */
  readonly path: string
  /**
   * An age identity (`AGE-SECRET-KEY-1…`), several of them, one per line, any of which may open the file, or a
   * passphrase. A passphrase takes half a second of another thread at every change. {@link keyFile} reads the key from
   * a file.
   */
  readonly key: SourceSecret.SourceSecret
  /**
   * The names of the secrets: a template with `{vendor}` and `{key}`.
   * @default the name of an environment variable: `STRIPE_API_KEY`, `STRIPE_EU_API_KEY`
   */
  readonly name?: string | undefined
  /** The largest file in bytes; at least 1. @default 256 KiB */
  readonly maxBytes?: number | undefined
}

/** The source. Throws if an option is out of its range. */
export const make = (options: EncryptedFileOptions): Source => {
  const { key, path } = options
  if (path === "") throw new Error("EncryptedFile: path must not be empty")
  const template = options.name === undefined ? undefined : Naming.checked("EncryptedFile: name", options.name)
  const maxBytes = Range.whole("EncryptedFile: maxBytes", options.maxBytes ?? defaultMaxBytes, 1)
  let opened: Opened | undefined

  const open = (bytes: Buffer): Effect.Effect<Document.Secrets, SourceUnavailable> =>
    Effect.flatMap(SourceSecret.read(key), (key) =>
      Effect.flatMap(Age.decrypt(bytes, key), Document.parse).pipe(
        Effect.mapError(({ issue }) => unavailable(issue))
      ))

  /** Decrypts once for concurrent requests, and completes even if all of them are cancelled. */
  const secretsIn = (bytes: Buffer): Effect.Effect<Document.Secrets, SourceUnavailable> =>
    Effect.withFiber((fiber) => {
      const timeline = Timeline.of(fiber)
      const isStale = opened === undefined || !bytes.equals(opened.bytes) || timeline.now() >= opened.againAt
      if (!isStale) return opened!.exit ?? Fiber.join(opened!.fiber)
      const opening = Effect.runForkWith(fiber.context)(open(bytes))
      const current: Opened = { bytes, fiber: opening, exit: undefined, againAt: Infinity }
      opened = current
      opening.addObserver((exit) => {
        current.exit = exit
        // The key may be corrected meanwhile.
        if (Exit.isFailure(exit)) current.againAt = timeline.now() + pauseMillis
      })
      return Fiber.join(opening)
    })

  return {
    name: sourceName,
    fetch: (request) =>
      Effect.gen(function*() {
        const name = Naming.nameOf(template, request)
        if (name === undefined) return undefined
        const found = yield* Effect.mapError(
          LocalFile.read(path, { maxBytes, wasThere: opened !== undefined }),
          ({ issue }) => unavailable(issue)
        )
        if (found === undefined) return yield* Effect.fail(unavailable("does not exist"))
        const value = (yield* secretsIn(found.bytes)).get(name)
        return value === undefined ? undefined : { value: Redacted.make(value) }
      })
  }
}

/** Credentials from the file. Throws if an option is out of its range. */
export const layer = (options: EncryptedFileOptions): Layer.Layer<never> =>
  Layer.succeed(Credentials, fromSource(make(options)))

/** A key in a file of its own, read at every use. */
export const keyFile = (path: string): SourceSecret.SourceSecret => {
  let isHinted = false
  return Effect.gen(function*() {
    const found = yield* LocalFile.read(path, { maxBytes: 65_536 })
    if (found === undefined) return yield* Effect.fail(LocalFile.trouble("does not exist"))
    const key = yield* LocalFile.textOf(found)
    if (key === "") return yield* Effect.fail(LocalFile.trouble("is empty"))
    if (found.isOpenToOthers && !isHinted) {
      isHinted = true
      yield* Effect.logWarning(
        "every user of this machine may read the key of the secrets: set the mode of its file to 0600 or 0400"
      )
    }
    return Redacted.make(key)
  }).pipe(
    Effect.mapError(({ issue }) => sourceUnavailable(sourceName, `the file of its key ${issue}`))
  )
}

/** A key from `CREDENTIALS_KEY`, or from the file that `CREDENTIALS_KEY_FILE` names. Absent without either. */
export const keyConfig = (variable: string = "CREDENTIALS_KEY"): Config.Config<SourceSecret.SourceSecret> =>
  Config.flatMap(
    Config.all({ key: EnvironmentOptions.secret(variable), file: EnvironmentOptions.text(`${variable}_FILE`) }),
    ({ file, key }): Config.Config<SourceSecret.SourceSecret> => {
      if (key !== undefined && file !== undefined) {
        return EnvironmentOptions.mistaken(variable, `must not be set together with ${variable}_FILE`)
      }
      if (file !== undefined) return Config.succeed(keyFile(file))
      return key === undefined ? Config.map(EnvironmentOptions.required(variable), Redacted.make) : Config.succeed(key)
    }
  )

/** The largest file by default, in bytes. */
export const defaultMaxBytes = 262_144

interface Opened {
  readonly bytes: Buffer
  readonly fiber: Fiber.Fiber<Document.Secrets, SourceUnavailable>
  exit: Exit.Exit<Document.Secrets, SourceUnavailable> | undefined
  /** When to retry a file that could not be opened, in milliseconds of the timeline. */
  againAt: number
}

const sourceName = "encrypted-file"

/** The pause before a file that could not be opened is retried. */
const pauseMillis = 1_000

const unavailable = (issue: string) => sourceUnavailable(sourceName, `the file ${issue}`)
