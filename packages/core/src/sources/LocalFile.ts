/**
 * Reads a small local file, whole and synchronously, at every use. That takes a few microseconds, less than asking
 * another thread for changes, and needs no reliable file watcher. It is for local disks and memory only: a network file
 * system that hangs would hang the process.
 */
import * as Effect from "effect/Effect"
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs"
import { sep } from "node:path"
import { withoutLineEnds } from "../credentials/Source.ts"

export interface Found {
  readonly bytes: Buffer
  /** Whether users other than the file's owner and group may read or write it. */
  readonly isOpenToOthers: boolean
}

/** Why a file cannot be read; holds nothing of its contents. */
export interface Trouble {
  readonly _tag: "Trouble"
  readonly issue: string
}

export const trouble = (issue: string): Trouble => ({ _tag: "Trouble", issue })

export interface ReadOptions {
  readonly maxBytes: number
  /** The directory that must contain the file after symbolic links are resolved. @default anywhere */
  readonly within?: string | undefined
  /**
   * Whether the file existed a moment ago. A writer may remove it briefly, so it counts as absent only if it stays
   * away.
   * @default false
   */
  readonly wasThere?: boolean | undefined
}

/** Reads a file; `undefined` if it does not exist. An empty file is read again: a writer may have just truncated it. */
export const read = (path: string, options: ReadOptions): Effect.Effect<Found | undefined, Trouble> => {
  const attempt = (left: number): Effect.Effect<Found | undefined, Trouble> => {
    const seen = look(path, options)
    switch (seen) {
      case "Unsettled":
        return left === 0 ? Effect.fail(trouble("is empty, or still being written")) : soon(left)
      case "Absent":
        return options.wasThere === true && left > 0 ? soon(left) : Effect.undefined
    }
    return "issue" in seen ? Effect.fail(seen) : Effect.succeed(seen)
  }
  const soon = (left: number) => Effect.andThen(Effect.sleep(pauseMillis), Effect.suspend(() => attempt(left - 1)))
  return Effect.suspend(() => attempt(looks))
}

/** The text of a file or a stream, without the line ends that editors and `echo` append. Fails if it is not UTF-8. */
export const textOf = ({ bytes }: { readonly bytes: Uint8Array }): Effect.Effect<string, Trouble> =>
  Effect.try({
    try: () => withoutLineEnds(decoder.decode(bytes)),
    catch: () => trouble("is not UTF-8 text")
  })

/** Reads again for half a second: enough for a change in place, even if the writing process has to wait for a core. */
const looks = 50
const pauseMillis = 10

const decoder = new TextDecoder("utf-8", { fatal: true })

type Seen = Found | Trouble | "Absent" | "Unsettled"

const look = (path: string, { maxBytes, within }: ReadOptions): Seen => {
  let file: number | undefined
  try {
    const real = realpathSync.native(path)
    if (within !== undefined && !real.startsWith(withSeparator(realpathSync.native(within)))) {
      return trouble("leads out of its directory")
    }
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    file = openSync(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const status = fstatSync(file)
    if (!status.isFile()) return trouble("is not a file")
    if (status.size > maxBytes) return trouble(`is larger than ${maxBytes} bytes`)
    const buffer = Buffer.alloc(status.size + 1)
    let length = 0
    for (let more = -1; more !== 0 && length < buffer.length; length += more) {
      more = readSync(file, buffer, length, buffer.length - length, null)
    }
    if (length === 0 || length !== status.size) return "Unsettled"
    return { bytes: buffer.subarray(0, length), isOpenToOthers: isPosix && (status.mode & 0o006) !== 0 }
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
    return code === "ENOENT" || code === "ENOTDIR" ? "Absent" : trouble(`cannot be read (${code})`)
  } finally {
    if (file !== undefined) closeSync(file)
  }
}

const isPosix = process.platform !== "win32"

const withSeparator = (directory: string): string => directory.endsWith(sep) ? directory : directory + sep
