/**
 * Secrets in files, one each, as Kubernetes and Docker mount them. A file is read for every attempt, so a change takes
 * effect with the next one. Nothing is watched or cached: a read takes less than ten microseconds on a local disk. On a
 * network file system, put a {@link RefreshingCredentials} in front of `make`.
 *
 * @example
 * ```ts
 * import { Credential } from "@breakwater/core/credentials"
 * import { Files } from "@breakwater/core/sources"
 * import { Effect, Redacted } from "effect"
 * import { mkdtempSync, writeFileSync } from "node:fs"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const directory = mkdtempSync(join(tmpdir(), "secrets-"))
 * const program = Effect.gen(function*() {
 *   const { read } = yield* Credential.Credentials
 *   for (const secret of ["the first", "the second"]) {
 *     writeFileSync(join(directory, "STRIPE_EU_API_KEY"), `${secret}\n`, { mode: 0o600 })
 *     console.log(Redacted.value(yield* read({ vendor: "stripe", key: "eu" })))
 *   }
 * })
 * // => the first
 * // => the second
 * await Effect.runPromise(Effect.provide(program, Files.layer({ directory })))
 * ```
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { statSync } from "node:fs"
import { join } from "node:path"
import { Credentials, fromSource } from "../credentials/Credential.ts"
import * as Naming from "../credentials/Naming.ts"
import { type Source, sourceUnavailable } from "../credentials/Source.ts"
import * as Range from "../Range.ts"
import * as LocalFile from "./LocalFile.ts"

export interface FilesOptions {
  /**
   * The directory of the files. It may be mounted later; until then its secrets count as unavailable, not as missing.
   */
  readonly directory: string
  /**
   * The names of the files: a template with `{vendor}` and `{key}`, such as `{vendor}/{key}`.
   * @default the name of an environment variable: `STRIPE_API_KEY`, `STRIPE_EU_API_KEY`
   */
  readonly name?: string | undefined
  /** The largest file in bytes; at least 1. @default 64 KiB */
  readonly maxBytes?: number | undefined
}

/** The source. Throws if an option is out of its range. */
export const make = (options: FilesOptions): Source => {
  const { directory } = options
  if (directory === "") throw new Error("Files: directory must not be empty")
  const name = options.name === undefined ? undefined : Naming.checked("Files: name", options.name)
  const maxBytes = Range.whole("Files: maxBytes", options.maxBytes ?? 65_536, 1)
  /** The files seen so far; there are no more of them than files in the directory. */
  const known = new Set<string>()
  let isHinted = false

  return {
    name: sourceName,
    fetch: (request) =>
      Effect.gen(function*() {
        const file = Naming.nameOf(name, request)
        if (file === undefined) return undefined
        const options = { maxBytes, within: directory, wasThere: known.has(file) }
        const found = yield* LocalFile.read(join(directory, file), options)
        if (found === undefined) {
          known.delete(file)
          return isThere(directory) ? undefined : yield* Effect.fail(unavailable("its directory does not exist"))
        }
        known.add(file)
        const text = yield* LocalFile.textOf(found)
        if (text === "") return yield* Effect.fail(unavailable(`${file} is empty`))
        if (found.isOpenToOthers && !isHinted) {
          isHinted = true
          yield* Effect.logWarning(
            `every user of this machine may read the secret ${file}: set its mode to 0600 or 0400`
          )
        }
        return { value: Redacted.make(text) }
      }).pipe(
        Effect.mapError((error) =>
          error._tag === "Trouble" ? unavailable(`${Naming.nameOf(name, request)} ${error.issue}`) : error
        )
      )
  }
}

/** Credentials from files, read for every attempt. Throws if an option is out of its range. */
export const layer = (options: FilesOptions): Layer.Layer<never> =>
  Layer.succeed(Credentials, fromSource(make(options)))

const sourceName = "files"

const unavailable = (issue: string) => sourceUnavailable(sourceName, issue)

const isThere = (directory: string): boolean => {
  try {
    return statSync(directory).isDirectory()
  } catch {
    return false
  }
}
