/** The value of a secret, from standard input: never from a terminal, which would show it. */
import * as Effect from "effect/Effect"
import type { Refused } from "../Refused.ts"
import { refused } from "./Refusal.ts"
import { maxBytes } from "./SecretFile.ts"

/** The text without the line ends that editors and `echo` put at the end. */
export const value: Effect.Effect<string, Refused> = Effect.suspend(() =>
  process.stdin.isTTY
    ? Effect.fail(refused("the value would be seen: give it by a pipe, as in `< value.txt`, or use edit"))
    : Effect.flatMap(bytes, (bytes) => {
      if (bytes.length > maxBytes) return Effect.fail(refused(`standard input has more than ${maxBytes} bytes`))
      const text = bytes.toString("utf8").replace(/(?:\r?\n)+$/, "")
      return text === "" ? Effect.fail(refused("standard input has no value")) : Effect.succeed(text)
    })
)

/** All of it, or a little more than a file may have. */
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
