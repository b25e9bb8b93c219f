/** AWS signing keys, supplied by the caller or resolved by the SDK's default provider chain. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as EnvironmentOptions from "../EnvironmentOptions.ts"
import type { AwsKeys } from "./Signature.ts"

/** A provider in the form of the AWS SDK. `forceRefresh` bypasses the provider's cache. */
export type AwsKeyProvider = (options?: { readonly forceRefresh?: boolean }) => Promise<{
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}>

export const sourceName = "aws"

/** Reads the current keys. A provider's error is not repeated, because it may hold keys. */
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
          cause instanceof Missing
            ? "AWS keys need the package @aws-sdk/credential-providers or the option `credentials`"
            : "its signing keys are unavailable"
        )
      }
    }).pipe(
      Effect.timeoutOrElse({
        duration: patience,
        orElse: () => Effect.fail(sourceUnavailable(sourceName, "its signing keys were not available in time"))
      }),
      Effect.map(({ accessKeyId, secretAccessKey, sessionToken }) => ({
        accessKeyId,
        secretAccessKey: Redacted.make(secretAccessKey),
        sessionToken: sessionToken === undefined ? undefined : Redacted.make(sessionToken)
      }))
    )
}

/** Long-lived keys, or those of a session, from the variables of AWS's own tools; `undefined` if they are not set. */
export const config: Config.Config<AwsKeyProvider | undefined> = Config.flatMap(
  Config.all({
    accessKeyId: EnvironmentOptions.text("AWS_ACCESS_KEY_ID"),
    secretAccessKey: EnvironmentOptions.secret("AWS_SECRET_ACCESS_KEY"),
    sessionToken: EnvironmentOptions.secret("AWS_SESSION_TOKEN")
  }),
  ({ accessKeyId, secretAccessKey, sessionToken }) => {
    if (accessKeyId === undefined) return Config.succeed(undefined)
    if (secretAccessKey === undefined) {
      return EnvironmentOptions.mistaken("AWS_SECRET_ACCESS_KEY", "is required with AWS_ACCESS_KEY_ID")
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

/** The time limit of the chain. It asks the environment, files, a process, and the machine's services in turn. */
const patience = "15 seconds"

/** The package of the SDK is not installed. */
class Missing extends Error {}

const sdkChain = async (region: string): Promise<AwsKeyProvider> => {
  const { fromNodeProviderChain } = await loaded()
  return fromNodeProviderChain({ clientConfig: { region } })
}

/** The `try` lets a bundler accept that the package is missing. */
const loaded = async () => {
  try {
    return await import("@aws-sdk/credential-providers")
  } catch (cause) {
    throw isMissing(cause) ? new Missing() : cause
  }
}

const isMissing = (cause: unknown): boolean =>
  cause instanceof Error && "code" in cause && /^(?:ERR_)?MODULE_NOT_FOUND$/.test(String(cause.code))
