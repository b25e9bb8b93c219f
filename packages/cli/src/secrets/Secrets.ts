/**
 * `breakwater secrets`: makes and edits an encrypted file of secrets. No secret is printed, taken from the command line, or
 * left on a disk in the clear; a file is replaced whole or not at all.
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
    Command.withDescription("Makes an empty file of secrets")
  )

const list = Command.make(
  "list",
  { file },
  ({ file }) =>
    Effect.flatMap(
      SecretFile.open(file),
      ({ secrets }) => secrets.size === 0 ? Effect.void : Console.log([...secrets.keys()].join("\n"))
    )
).pipe(Command.withDescription("Prints the names in it, never a value"))

const set = Command.make("set", { file, name }, ({ file, name }) => changed(file, name, StandardInput.value)).pipe(
  Command.withDescription("Sets a secret; the value comes from standard input")
)

const unset = Command.make("unset", { file, name }, ({ file, name }) => changed(file, name, Effect.undefined)).pipe(
  Command.withDescription("Takes a secret away")
)

const edit = Command.make("edit", { file }, ({ file }) => Effect.scoped(edited(file))).pipe(
  Command.withDescription("Opens it in $VISUAL or $EDITOR: lines of NAME=value, or JSON")
)

const reencrypt = Command.make(
  "reencrypt",
  { file },
  ({ file }) =>
    Effect.flatMap(SecretFile.open(file), ({ bytes, text }) => SecretFile.seal(file, text, SecretFile.newKey, bytes))
).pipe(Command.withDescription("Encrypts it to the key of CREDENTIALS_NEW_KEY or CREDENTIALS_NEW_KEY_FILE"))

const key = Command.make("key", { keyFile }, ({ keyFile }) =>
  Effect.gen(function*() {
    const { key, recipient } = yield* Effect.mapError(
      EncryptedFile.newKey,
      ({ issue }) => refused(`making a key ${issue}`)
    )
    yield* AtomicFile.replace(keyFile, Buffer.from(`# ${recipient}\n${Redacted.value(key)}\n`), undefined)
    yield* Console.log(recipient)
  })).pipe(Command.withDescription("Makes a key, and prints the recipient that others encrypt to"))

export const command = Command.make("secrets").pipe(
  Command.withDescription(
    "Makes and edits an encrypted file of secrets.\n\n" +
      "  The key is CREDENTIALS_KEY, or in the file that CREDENTIALS_KEY_FILE names: an identity of age or a passphrase."
  ),
  Command.withShortDescription("Makes and edits an encrypted file of secrets"),
  Command.withSubcommands([create, list, set, unset, edit, reencrypt, key])
)

/** Sets a secret, or takes it away when there is no value. */
const changed = (file: string, name: string, value: Effect.Effect<string | undefined, Refused>) =>
  Effect.gen(function*() {
    if (!EncryptedFile.isName(name)) return yield* refused("that is not a name that a secret can have")
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
    if (next === before.text) return yield* Console.log("nothing is changed")
    yield* Effect.mapError(
      EncryptedFile.parse(next),
      ({ issue }) => refused(`nothing is changed: the edited text ${issue}`)
    )
    yield* SecretFile.seal(file, next, SecretFile.key, before.bytes)
  })
