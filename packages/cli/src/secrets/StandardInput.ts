/** Reads the value of a secret from standard input, but never from a terminal, which would show it. */
import * as Effect from "effect/Effect"
import type { Refused } from "../Refused.ts"
import { refused } from "./Refusal.ts"
import { maxBytes } from "./SecretFile.ts"

/** The text, without the line ends that editors and `echo` append. */
export const value: Effect.Effect<string, Refused> = Effect.suspend(() =>
  process.stdin.isTTY
    ? Effect.fail(refused("the value would be visible: redirect it, as in `< value.txt`, or use edit"))
    : Effect.flatMap(bytes, (bytes) => {
      if (bytes.length > maxBytes) return Effect.fail(refused(`standard input has more than ${maxBytes} bytes`))
      const text = bytes.toString("utf8").replace(/(?:\r?\n)+$/, "")
      return text === "" ? Effect.fail(refused("standard input has no value")) : Effect.succeed(text)
    })
)

/** All bytes; reading stops beyond the largest size of a file. */
const bytes: Effect.Effect<Buffer, Refused> = Effect.tryPromise({
  try: async () => {
    const chunks: Array<Buffer> = []
    let length = 0
    for await (const chunk of process.stdin) {
      length += chunks[chunks.push(Buffer.from(chunk)) - 1]!.length
      if (length > maxBytes) break
    }
    return Buffer.concat(chunks)
  },
  catch: () => refused("standard input cannot be read")
})
