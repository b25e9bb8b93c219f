/**
 * A process that uses a refresh token, by configuration from its environment: as soon as it is told to begin it asks for
 * an access token as often as it is told, refusing the one that it has each time, and prints what it was given.
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
