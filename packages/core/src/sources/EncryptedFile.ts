/**
 * Secrets in one encrypted file, which can lie beside the program or in its repository: in the format of age, so that
 * its own tools open it too. The file is read for every attempt, and decrypted when it has changed, so a change takes
 * effect with the next attempt. What is decrypted is in memory until then. `breakwater secrets` makes and edits it.
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
 * // What the command does, at more cost to whoever guesses.
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
  /** Where it is. Inside are lines of `NAME=value`, or a JSON object of texts. */
  readonly path: string
  /**
   * An identity of age (`AGE-SECRET-KEY-1…`), or several, a line each, any of which may open it; or else a passphrase,
   * which takes half a second of another thread at every change. {@link keyFile} reads one from a file.
   */
  readonly key: SourceSecret.SourceSecret
  /**
   * How the secrets in it are called: a template with `{vendor}` and `{key}`.
   * @default as a variable of the environment: `STRIPE_API_KEY`, `STRIPE_EU_API_KEY`
   */
  readonly name?: string | undefined
  /** Bytes of the largest file that is read; at least 1. @default 256 KiB (ours) */
  readonly maxBytes?: number | undefined
}

/** The source. Throws when an option is out of its range. */
export const make = (options: EncryptedFileOptions): Source => {
  const { key, path } = options
  if (path === "") throw new Error("EncryptedFile: path must be that of a file")
  const template = options.name === undefined ? undefined : Naming.checked("EncryptedFile: name", options.name)
  const maxBytes = Range.whole("EncryptedFile: maxBytes", options.maxBytes ?? defaultMaxBytes, 1)
  let opened: Opened | undefined

  const open = (bytes: Buffer): Effect.Effect<Document.Secrets, SourceUnavailable> =>
    Effect.flatMap(SourceSecret.read(key), (key) =>
      Effect.flatMap(Age.decrypt(bytes, key), Document.parse).pipe(
        Effect.mapError(({ issue }) => unavailable(issue))
      ))

  /** Decrypted once for all who ask at the same time, and to the end, whoever leaves. */
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
        // The key may be mended meanwhile.
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
        if (found === undefined) return yield* Effect.fail(unavailable("is not there"))
        const value = (yield* secretsIn(found.bytes)).get(name)
        return value === undefined ? undefined : { value: Redacted.make(value) }
      })
  }
}

/** Credentials from the file. Throws when an option is out of its range. */
export const layer = (options: EncryptedFileOptions): Layer.Layer<never> =>
  Layer.succeed(Credentials, fromSource(make(options)))

/** The key is in a file of its own, and read anew whenever it is needed. */
export const keyFile = (path: string): SourceSecret.SourceSecret => {
  let isHinted = false
  return Effect.gen(function*() {
    const found = yield* LocalFile.read(path, { maxBytes: 65_536 })
    if (found === undefined) return yield* Effect.fail(LocalFile.trouble("is not there"))
    const key = yield* LocalFile.textOf(found)
    if (key === "") return yield* Effect.fail(LocalFile.trouble("is empty"))
    if (found.isOpenToOthers && !isHinted) {
      isHinted = true
      yield* Effect.logWarning(
        "every user of this machine may read the key of the secrets: let its file be mode 0600 or 0400"
      )
    }
    return Redacted.make(key)
  }).pipe(
    Effect.mapError(({ issue }) => sourceUnavailable(sourceName, `the file of its key ${issue}`))
  )
}

/** A key by a variable, or by another that names a file with it: `CREDENTIALS_KEY`, `CREDENTIALS_KEY_FILE`. Absent without either. */
export const keyConfig = (variable: string = "CREDENTIALS_KEY"): Config.Config<SourceSecret.SourceSecret> =>
  Config.flatMap(
    Config.all({ key: EnvironmentOptions.secret(variable), file: EnvironmentOptions.text(`${variable}_FILE`) }),
    ({ file, key }): Config.Config<SourceSecret.SourceSecret> => {
      if (key !== undefined && file !== undefined) {
        return EnvironmentOptions.mistaken(variable, `must not be there together with ${variable}_FILE`)
      }
      if (file !== undefined) return Config.succeed(keyFile(file))
      return key === undefined ? Config.map(EnvironmentOptions.required(variable), Redacted.make) : Config.succeed(key)
    }
  )

/** The largest file, unless another limit is given. */
export const defaultMaxBytes = 262_144

interface Opened {
  readonly bytes: Buffer
  readonly fiber: Fiber.Fiber<Document.Secrets, SourceUnavailable>
  exit: Exit.Exit<Document.Secrets, SourceUnavailable> | undefined
  /** When what cannot be opened is tried again, in milliseconds of the timeline. */
  againAt: number
}

const sourceName = "encrypted-file"

/** What could not be opened is left alone for so long (ours). */
const pauseMillis = 1_000

const unavailable = (issue: string) => sourceUnavailable(sourceName, `the file ${issue}`)
