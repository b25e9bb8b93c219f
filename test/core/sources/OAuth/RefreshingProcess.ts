/**
 * A process that uses a refresh token, configured by its environment. On the signal to begin, it asks repeatedly for
 * an access token, refusing the current one each time, and prints the tokens it received.
 */
import { OAuth } from "@breakwater/core/sources"
import { Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"

const request = { vendor: "hubspot", key: "" }

const program = Effect.gen(function*() {
  const source = yield* OAuth.make(yield* OAuth.configFor(request))
  yield* Effect.callback<void>((resume) => {
    process.stdin.once("data", () => resume(Effect.void))
    process.stdout.write("ready\n")
  })
  process.stdin.destroy()
  let refused: Redacted.Redacted | undefined
  for (let times = Number(process.env["TIMES"]); times > 0; times--) {
    const secret = yield* source.fetch(request, refused)
    refused = secret!.value
    process.stdout.write(`${Redacted.value(refused)}\n`)
  }
})

await Effect.runPromise(Effect.provide(program, FetchHttpClient.layer))
