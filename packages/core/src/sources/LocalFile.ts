/**
 * A small file of this machine, as it is now. It is read whole, at once, every time: that takes a few microseconds, less
 * than to ask another thread whether it has changed, and no watch has to be trusted. So it is for local disks and memory;
 * on a network file system that hangs it would hang the process.
 */
import * as Effect from "effect/Effect"
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs"
import { sep } from "node:path"

export interface Found {
  readonly bytes: Buffer
  /** Whether users of this machine other than its owner and its group may read or write it. */
  readonly isOpenToOthers: boolean
}

/** Why it cannot be read; holds nothing of what is in it. */
export interface Trouble {
  readonly _tag: "Trouble"
  readonly issue: string
}

export const trouble = (issue: string): Trouble => ({ _tag: "Trouble", issue })

export interface ReadOptions {
  readonly maxBytes: number
  /** The directory that it must be in, whatever symbolic links are on the way. @default anywhere */
  readonly within?: string | undefined
  /**
   * Whether it was there a moment ago. Whoever changes it may take it away for a moment, so its absence is believed only
   * when it lasts. @default false
   */
  readonly wasThere?: boolean | undefined
}

/** Reads it; `undefined` when there is none. Who writes over a file empties it first, so an empty one is looked at again. */
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

/** Its text, without the line ends that editors and `echo` put at the end. Fails when it is none. */
export const textOf = ({ bytes }: Found): Effect.Effect<string, Trouble> =>
  Effect.try({
    try: () => decoder.decode(bytes).replace(/(?:\r?\n)+$/, ""),
    catch: () => trouble("is no text in UTF-8")
  })

/** A change in place is over after half a second, also where its process has to wait for its turn (ours). */
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
    // A pipe would be waited for.
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
