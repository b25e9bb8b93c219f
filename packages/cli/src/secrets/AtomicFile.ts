/**
 * Writes a complete file before it gets its name. A reader finds the old file or the new one, even after a power loss. A
 * new file is readable by its owner alone and never replaces another; a replaced file keeps its mode and owner.
 */
import { LocalFile } from "@breakwater/core/sources"
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync
} from "node:fs"
import { basename, dirname, join } from "node:path"
import type { Refused } from "../Refused.ts"
import { refused } from "./Refusal.ts"

/** Replaces a file that still has the bytes `before`; creates it if `before` is `undefined`. */
export const replace = (file: string, bytes: Uint8Array, before: Buffer | undefined): Effect.Effect<void, Refused> =>
  Effect.gen(function*() {
    const target = before === undefined ? file : yield* realPath(file)
    const draft = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
    yield* writeNew(draft, bytes, target).pipe(
      Effect.andThen(before === undefined ? named(draft, file) : exchanged(draft, target, before)),
      Effect.ensuring(Effect.sync(() => rmSync(draft, { force: true })))
    )
    yield* Effect.ignore(Effect.try(() => synced(openSync(dirname(target), "r"))))
  })

/** Creates a file and flushes it to the disk. `target` is the name for the error message. */
export const writeNew = (path: string, bytes: Uint8Array, target: string): Effect.Effect<void, Refused> =>
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

const realPath = (file: string): Effect.Effect<string, Refused> =>
  Effect.try({ try: () => realpathSync.native(file), catch: () => refused(`${file} no longer exists`) })

const named = (draft: string, file: string) => attempted(file, () => linkSync(draft, file))

const exchanged = (draft: string, target: string, before: Buffer): Effect.Effect<void, Refused> =>
  Effect.gen(function*() {
    const now = yield* Effect.mapError(
      LocalFile.read(target, { maxBytes: before.length }),
      () => changedMeanwhile(target)
    )
    if (now?.bytes.equals(before) !== true) return yield* changedMeanwhile(target)
    yield* attempted(target, () => {
      keepAccess(target, draft)
      renameSync(draft, target)
    })
  })

/** The draft gets the mode and the owner of the file it replaces, so that a service that could read it still can. */
const keepAccess = (target: string, draft: string): void => {
  const { gid, mode, uid } = statSync(target)
  const own = statSync(draft)
  if (own.uid !== uid || own.gid !== gid) chownSync(draft, uid, gid)
  chmodSync(draft, mode & 0o7777)
}

const changedMeanwhile = (target: string) => refused(`nothing was changed: another process has changed ${target}`)

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
      return refused(code === "EEXIST" ? `${path} already exists` : `${path} cannot be written (${code})`)
    }
  })
