/** Reads the value of a secret from standard input, but never from a terminal, which would show it. */
import { LocalFile } from "@breakwater/core/sources"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Refused } from "../Refused.ts"
import { refused } from "./Refusal.ts"
import { maxBytes } from "./SecretFile.ts"

/** Standard input of the process, unless a test gives another. */
export class StandardInput extends Context.Reference<{
  readonly isTerminal: boolean
  readonly chunks: AsyncIterable<Uint8Array>
}>("breakwater/cli/secrets/StandardInput", {
  defaultValue: () => ({ isTerminal: process.stdin.isTTY, chunks: process.stdin })
}) {}

/** The text, without the line ends that editors and `echo` append. */
export const value: Effect.Effect<string, Refused> = Effect.gen(function*() {
  const { chunks, isTerminal } = yield* StandardInput
  if (isTerminal) {
    return yield* refused("the value would be visible: redirect it, as in `< value.txt`, or use edit")
  }
  const bytes = yield* read(chunks)
  if (bytes.length > maxBytes) return yield* refused(`standard input has more than ${maxBytes} bytes`)
  const text = yield* Effect.mapError(LocalFile.textOf({ bytes }), ({ issue }) => refused(`standard input ${issue}`))
  return text === "" ? yield* refused("standard input has no value") : text
})

/** All bytes; reading stops beyond the largest size of a file. */
const read = (chunks: AsyncIterable<Uint8Array>): Effect.Effect<Buffer, Refused> =>
  Effect.tryPromise({
    try: async () => {
      const all: Array<Uint8Array> = []
      let length = 0
      for await (const chunk of chunks) {
        length += all[all.push(chunk) - 1]!.length
        if (length > maxBytes) break
      }
      return Buffer.concat(all)
    },
    catch: () => refused("standard input cannot be read")
  })
