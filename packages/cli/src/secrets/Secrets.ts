/**
 * `breakwater secrets`: creates and edits an encrypted file of secrets. It never prints a secret, takes one from the
 * command line, or leaves one on a disk in plain text. A file is replaced as a whole or not at all.
 */
import { EncryptedFile } from "@breakwater/core/sources"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Refused } from "../Refused.ts"
import * as AtomicFile from "./AtomicFile.ts"
import * as Editor from "./Editor.ts"
import { refused } from "./Refusal.ts"
import * as SecretFile from "./SecretFile.ts"
import * as StandardInput from "./StandardInput.ts"

const file = Argument.String("FILE").pipe(Argument.withDescription("the encrypted file"))
const name = Argument.String("NAME").pipe(Argument.withDescription("the name of a secret: STRIPE_API_KEY"))
const keyFile = Argument.String("KEY_FILE").pipe(
  Argument.withDescription("a new file for the key, which only you may read")
)

const create = Command.make("create", { file }, ({ file }) => SecretFile.seal(file, "", SecretFile.key, undefined))
  .pipe(
    Command.withDescription("Creates an empty file of secrets")
  )

const list = Command.make(
  "list",
  { file },
  ({ file }) =>
    Effect.flatMap(
      SecretFile.open(file),
      ({ secrets }) => secrets.size === 0 ? Effect.void : Console.log([...secrets.keys()].join("\n"))
    )
).pipe(Command.withDescription("Prints the names of the secrets, never a value"))

const set = Command.make("set", { file, name }, ({ file, name }) => changed(file, name, StandardInput.value)).pipe(
  Command.withDescription("Sets a secret; the value comes from standard input")
)

const unset = Command.make("unset", { file, name }, ({ file, name }) => changed(file, name, Effect.undefined)).pipe(
  Command.withDescription("Removes a secret")
)

const edit = Command.make("edit", { file }, ({ file }) => Effect.scoped(edited(file))).pipe(
  Command.withDescription("Opens the file in $VISUAL or $EDITOR: lines of NAME=value, or JSON")
)

const reencrypt = Command.make(
  "reencrypt",
  { file },
  ({ file }) =>
    Effect.flatMap(SecretFile.open(file), ({ bytes, text }) => SecretFile.seal(file, text, SecretFile.newKey, bytes))
).pipe(Command.withDescription("Encrypts the file with the key in CREDENTIALS_NEW_KEY or CREDENTIALS_NEW_KEY_FILE"))

const key = Command.make("key", { keyFile }, ({ keyFile }) =>
  Effect.gen(function*() {
    const { key, recipient } = yield* Effect.mapError(
      EncryptedFile.newKey,
      ({ issue }) => refused(`making a key ${issue}`)
    )
    yield* AtomicFile.replace(keyFile, Buffer.from(`# ${recipient}\n${Redacted.value(key)}\n`), undefined)
    yield* Console.log(recipient)
  })).pipe(Command.withDescription("Creates a key, and prints the recipient to encrypt to"))

export const command = Command.make("secrets").pipe(
  Command.withDescription(
    "Creates and edits an encrypted file of secrets.\n\n" +
      "  The key is in CREDENTIALS_KEY, or in the file CREDENTIALS_KEY_FILE: an age identity or a passphrase."
  ),
  Command.withShortDescription("Creates and edits an encrypted file of secrets"),
  Command.withSubcommands([create, list, set, unset, edit, reencrypt, key])
)

/** Sets a secret, or removes it if there is no value. */
const changed = (file: string, name: string, value: Effect.Effect<string | undefined, Refused>) =>
  Effect.gen(function*() {
    if (!EncryptedFile.isName(name)) return yield* refused("invalid secret name")
    const { bytes, secrets, text } = yield* SecretFile.open(file)
    const to = yield* value
    if (to === undefined && !secrets.has(name)) return yield* refused(`${file} has no secret ${name}`)
    const next = yield* Effect.mapError(
      EncryptedFile.change(text, name, to),
      ({ issue }) => refused(`${file} ${issue}`)
    )
    yield* SecretFile.seal(file, next, SecretFile.key, bytes)
  })

const edited = (file: string) =>
  Effect.gen(function*() {
    const before = yield* SecretFile.open(file)
    const next = yield* Editor.edit(before.text)
    if (next === before.text) return yield* Console.log("nothing was changed")
    yield* Effect.mapError(
      EncryptedFile.parse(next),
      ({ issue }) => refused(`nothing was changed: the edited text ${issue}`)
    )
    yield* SecretFile.seal(file, next, SecretFile.key, before.bytes)
  })
