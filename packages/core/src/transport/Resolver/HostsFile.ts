/** The hosts file of the system, which overrides its name servers (hosts(5)). */
import * as Effect from "effect/Effect"
import { readFile } from "node:fs/promises"

const path = process.platform === "win32"
  ? `${process.env["SystemRoot"]}\\System32\\drivers\\etc\\hosts`
  : "/etc/hosts"

/** The addresses of a name in the system's file; none if there is no such file. */
export const addresses = (name: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.map(
    Effect.orElseSucceed(Effect.tryPromise(() => readFile(path, "utf8")), () => ""),
    (text) => addressesIn(text, name)
  )

/** The addresses of a name in the text of a file, in order. Case and a dot at the end do not matter. */
export const addressesIn = (text: string, name: string): ReadonlyArray<string> => {
  const wanted = canonical(name)
  return text.split("\n").flatMap((line) => {
    const [address, ...names] = line.replace(/#.*/, "").trim().split(/\s+/)
    return names.some((given) => canonical(given) === wanted) ? [address!] : []
  })
}

const canonical = (name: string): string => name.toLowerCase().replace(/\.$/, "")
