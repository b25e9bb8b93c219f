/**
 * Edits a text in the user's editor, in a private file of a private directory, in memory if the machine allows it. Both
 * are removed at the end, even when a signal stops the command. The editor does not see the keys in the environment.
 */
import { LocalFile } from "@breakwater/core/sources"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { isAbsolute, join } from "node:path"
import type { Refused } from "../Refused.ts"
import * as AtomicFile from "./AtomicFile.ts"
import { refused } from "./Refusal.ts"
import { maxBytes } from "./SecretFile.ts"

/** The edited text, with one line end; the text itself when the editor left it as it was. */
export const edit = (text: string): Effect.Effect<string, Refused, Scope.Scope> =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(privateDirectory, (directory) =>
      Effect.sync(() => rmSync(directory, { recursive: true, force: true })))
    const draft = join(directory, text.trimStart().startsWith("{") ? "secrets.json" : "secrets.env")
    yield* AtomicFile.writeNew(draft, Buffer.from(text), draft)
    yield* inEditor(draft)
    // Unchanged bytes are not an edit, even with unusual line ends.
    if (
      yield* Effect.orElseSucceed(
        Effect.try(() =>
          readFileSync(draft).equals(Buffer.from(text))
        ),
        () => false
      )
    ) {
      return text
    }
    const edited = yield* LocalFile.read(draft, { maxBytes }).pipe(
      Effect.flatMap((found) =>
        found === undefined ? Effect.fail(LocalFile.trouble("is gone")) : LocalFile.textOf(found)
      ),
      Effect.mapError(({ issue }) => unchanged(`the edited file ${issue}`))
    )
    return `${edited}\n`
  })

const unchanged = (issue: string) => refused(`nothing was changed: ${issue}`)

const variable = (name: string): Effect.Effect<string> => Effect.orElseSucceed(Config.String(name), () => "")

const privateDirectory = Effect.flatMap(variable("XDG_RUNTIME_DIR"), (runtime) =>
  Effect.firstSuccessOf(
    // A relative path would put the secrets where the command was started.
    [runtime, "/dev/shm", tmpdir()].filter(isAbsolute).map((parent) =>
      Effect.try({
        try: () => mkdtempSync(join(parent, "breakwater-secrets-")),
        catch: () => refused("no private directory can be created")
      })
    )
  ))

/** Runs the editor. When the command is stopped, stops it and waits for its end, as it writes to the directory until then. */
const inEditor = Effect.fnUntraced(function*(draft: string) {
  const editor = (yield* variable("VISUAL")) || (yield* variable("EDITOR")) || "vi"
  yield* Effect.callback<void, Refused>((resume) => {
    const { CREDENTIALS_KEY: _, CREDENTIALS_NEW_KEY: __, ...env } = process.env
    const child = spawn("/bin/sh", ["-c", `exec ${editor} "$1"`, "sh", draft], { stdio: "inherit", env })
    child.once("error", () => resume(Effect.fail(unchanged("there is no /bin/sh to start the editor"))))
    child.once(
      "exit",
      (code) => resume(code === 0 ? Effect.void : Effect.fail(unchanged("the editor failed")))
    )
    return ended(child)
  })
})

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGTERM")
  }).pipe(
    Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.sync(() => void child.kill("SIGKILL")) })
  )
