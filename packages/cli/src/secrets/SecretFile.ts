/** The encrypted file and its key: opens it with the key of the environment, encrypts it, and replaces the old file. */
import { SourceSecret } from "@breakwater/core/credentials"
import { EncryptedFile, LocalFile } from "@breakwater/core/sources"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type { Refused } from "../Refused.ts"
import * as AtomicFile from "./AtomicFile.ts"
import { refused } from "./Refusal.ts"

/** The largest file that a service reads by default. */
export const maxBytes = EncryptedFile.defaultMaxBytes

export interface Opened {
  readonly bytes: Buffer
  readonly text: string
  readonly secrets: EncryptedFile.Secrets
}

export const open = (file: string): Effect.Effect<Opened, Refused> =>
  Effect.gen(function*() {
    const found = yield* LocalFile.read(file, { maxBytes })
    if (found === undefined) return yield* Effect.fail(LocalFile.trouble("does not exist"))
    const text = yield* EncryptedFile.decrypt(found.bytes, yield* key)
    return { bytes: found.bytes, text, secrets: yield* EncryptedFile.parse(text) }
  }).pipe(Effect.mapError((error) => error._tag === "Trouble" ? refused(`${file} ${error.issue}`) : error))

/** Encrypts a text and replaces a file, if it still has the bytes `before` or still does not exist. */
export const seal = (
  file: string,
  text: string,
  key: Effect.Effect<Redacted.Redacted, Refused>,
  before: Buffer | undefined
): Effect.Effect<void, Refused> =>
  Effect.gen(function*() {
    const sealed = yield* Effect.mapError(
      EncryptedFile.encrypt(text, yield* key),
      ({ issue }) => refused(`${file} ${issue}`)
    )
    if (sealed.length > maxBytes) return yield* refused(`${file} would be larger than ${maxBytes} bytes`)
    yield* AtomicFile.replace(file, sealed, before)
  })

const keyOf = (variable: string): Effect.Effect<Redacted.Redacted, Refused> =>
  Effect.gen(function*() {
    return yield* SourceSecret.read(yield* EncryptedFile.keyConfig(variable))
  }).pipe(Effect.mapError((error) =>
    refused(
      error._tag === "ConfigError" ? `exactly one of ${variable} and ${variable}_FILE must be set` : error.issue
    )
  ))

export const key = keyOf("CREDENTIALS_KEY")
export const newKey = keyOf("CREDENTIALS_NEW_KEY")
