/** Parts whose optional package is not installed, each with the issue of its failure. */
import { AwsSecretsManager, EncryptedFile } from "@breakwater/core/sources"
import * as Bundled from "@breakwater/vendors/countries/bundled"
import { Effect, Redacted } from "effect"
import { FetchHttpClient } from "effect/http"

const request = { vendor: "stripe", key: "" }
const issues = Effect.all([
  Effect.map(Effect.flip(EncryptedFile.encrypt("", Redacted.make("a passphrase"))), ({ issue }) => issue),
  AwsSecretsManager.make({ region: "eu-central-1" }).pipe(
    Effect.flatMap((source) => Effect.flip(source.fetch(request))),
    Effect.map(({ issue }) => issue),
    Effect.provide(FetchHttpClient.layer)
  ),
  Effect.map(Effect.flip(Bundled.countries), ({ message }) => message)
])

void Effect.runPromise(issues).then((issues) => console.log(issues.join("\n")))
