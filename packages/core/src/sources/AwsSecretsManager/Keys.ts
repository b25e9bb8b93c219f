/** With what we sign for AWS: given by a function, or found by the SDK's own chain of providers. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as EnvironmentOptions from "../EnvironmentOptions.ts"
import type { AwsKeys } from "./Signature.ts"

/** A provider as the AWS SDK has them. `forceRefresh` asks for keys that are not the remembered ones. */
export type AwsKeyProvider = (options?: { readonly forceRefresh?: boolean }) => Promise<{
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}>

export const sourceName = "aws"

/** Reads the keys as they are now. What a provider fails with is not repeated: it may hold what it found. */
export const reading = (provider: AwsKeyProvider | undefined, region: string) => {
  let chain: Promise<AwsKeyProvider> | undefined
  const provided = provider === undefined ? () => chain ??= sdkChain(region) : () => Promise.resolve(provider)
  return (forceRefresh: boolean): Effect.Effect<AwsKeys, SourceUnavailable> =>
    Effect.tryPromise({
      try: async () => (await provided())(forceRefresh ? { forceRefresh } : undefined),
      catch: (cause) => {
        chain = undefined
        return sourceUnavailable(
          sourceName,
          isMissing(cause)
            ? "keys of AWS need the package @aws-sdk/credential-providers, or a function that gives them"
            : "no keys of AWS could be had"
        )
      }
    }).pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.fail(sourceUnavailable(sourceName, "no keys of AWS could be had in time"))
      }),
      Effect.map(({ accessKeyId, secretAccessKey, sessionToken }) => ({
        accessKeyId,
        secretAccessKey: Redacted.make(secretAccessKey),
        sessionToken: sessionToken === undefined ? undefined : Redacted.make(sessionToken)
      }))
    )
}

/** Long-lived keys, or those of a session, by the names of AWS's own tools; `undefined` when there are none. */
export const config: Config.Config<AwsKeyProvider | undefined> = Config.flatMap(
  Config.all({
    accessKeyId: EnvironmentOptions.text("AWS_ACCESS_KEY_ID"),
    secretAccessKey: EnvironmentOptions.secret("AWS_SECRET_ACCESS_KEY"),
    sessionToken: EnvironmentOptions.secret("AWS_SESSION_TOKEN")
  }),
  ({ accessKeyId, secretAccessKey, sessionToken }) => {
    if (accessKeyId === undefined) return Config.succeed(undefined)
    if (secretAccessKey === undefined) {
      return EnvironmentOptions.mistaken("AWS_SECRET_ACCESS_KEY", "must be there with AWS_ACCESS_KEY_ID")
    }
    return Config.succeed(() =>
      Promise.resolve({
        accessKeyId,
        secretAccessKey: Redacted.value(secretAccessKey),
        sessionToken: sessionToken === undefined ? undefined : Redacted.value(sessionToken)
      })
    )
  }
)

/** The chain asks the environment, files, a process, and the services of the machine, each with a limit of its own (ours). */
const patience = "15 seconds"

const sdkChain = async (region: string): Promise<AwsKeyProvider> => {
  // A bundler goes on without the package for the `catch`.
  const { fromNodeProviderChain } = await import("@aws-sdk/credential-providers").catch((cause: unknown) => {
    throw cause
  })
  return fromNodeProviderChain({ clientConfig: { region } })
}

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && cause.code === "ERR_MODULE_NOT_FOUND"
