/**
 * Secrets from AWS Secrets Manager, by `GetSecretValue`. Of AWS's SDK it uses only the chain of credential providers,
 * which is optional. Secrets are not cached here.
 *
 * A rotation in AWS goes through stages. The new version is `AWSPENDING` while the vendor learns it, then `AWSCURRENT`,
 * and the version before it becomes `AWSPREVIOUS`. The source uses `AWSCURRENT`. Only if the vendor has refused exactly
 * that version does it try the others. The pending one is first, because the vendor may know it before AWS calls it
 * current. A refused version is not used again until another one is current.
 *
 * @example
 * ```ts
 * import { AwsSecretsManager } from "@breakwater/core/sources"
 * import { Effect, Layer } from "effect"
 * import { HttpClient, HttpClientResponse } from "effect/http"
 *
 * // The response of AWS.
 * const answer = { SecretString: `{"api_key":"from AWS"}`, VersionId: "1", VersionStages: ["AWSCURRENT"] }
 * const aws = HttpClient.make((request) =>
 *   Effect.succeed(HttpClientResponse.fromWeb(request, Response.json(answer)))
 * )
 *
 * const secret = Effect.gen(function*() {
 *   const source = yield* AwsSecretsManager.make({
 *     region: "eu-central-1",
 *     secretId: "prod/{vendor}/{key}",
 *     field: "api_key",
 *     credentials: async () => ({ accessKeyId: "of the role", secretAccessKey: "of the role" })
 *   })
 *   return yield* source.fetch({ vendor: "stripe", key: "eu" })
 * })
 *
 * const read = await Effect.runPromise(Effect.provide(secret, Layer.succeed(HttpClient.HttpClient, aws)))
 * console.log(String(read?.value)) // => <redacted>
 * ```
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type { HttpClient } from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Naming from "../credentials/Naming.ts"
import * as RefreshingCredentials from "../credentials/RefreshingCredentials.ts"
import {
  type Secret,
  type Source,
  sourceRefusal,
  type SourceUnavailable,
  sourceUnavailable
} from "../credentials/Source.ts"
import * as HttpDate from "../transport/HttpDate.ts"
import * as Keys from "./AwsSecretsManager/Keys.ts"
import { sign } from "./AwsSecretsManager/Signature.ts"
import * as EnvironmentOptions from "./EnvironmentOptions.ts"
import * as SecretRequest from "./SecretRequest.ts"

export type { AwsKeyProvider } from "./AwsSecretsManager/Keys.ts"

export interface AwsSecretsManagerOptions extends SecretRequest.SecretRequestOptions {
  /** A region such as `eu-central-1`. */
  readonly region: string
  /** The name or ARN of a secret: a template with `{vendor}` and `{key}`. @default `{vendor}/{key}` */
  readonly secretId?: string | undefined
  /** The field with the key, for a secret that is a JSON object. @default the whole text is the key */
  readonly field?: string | undefined
  /** The stage to use. @default `AWSCURRENT` */
  readonly stage?: string | undefined
  /** The stages to try, in this order, if the vendor has refused that one. @default `AWSPENDING`, `AWSPREVIOUS` */
  readonly whenRefused?: ReadonlyArray<string> | undefined
  /** The URL of the service, such as a VPC endpoint; without a path. @default the public endpoint of the region */
  readonly endpoint?: string | undefined
  /** The provider of signing keys. @default `fromNodeProviderChain` of `@aws-sdk/credential-providers` */
  readonly credentials?: Keys.AwsKeyProvider | undefined
}

/** The source. Dies if an option is out of its range. */
export const make = (options: AwsSecretsManagerOptions): Effect.Effect<Source, never, HttpClient> =>
  Effect.gen(function*() {
    const { field, region } = options
    checkRegion(region)
    const template = Naming.checked("secretId", options.secretId ?? "{vendor}/{key}")
    const stage = options.stage ?? "AWSCURRENT"
    const whenRefused = options.whenRefused ?? ["AWSPENDING", "AWSPREVIOUS"]
    const endpoint = endpointOf(options.endpoint ?? publicEndpoint(region))
    const inquiry = yield* SecretRequest.make(Keys.sourceName, options)
    const readKeys = Keys.reading(options.credentials, region)
    /** The refused version of each secret. */
    const refusedVersions = new Map<string, string>()
    /** How far AWS's clock is ahead of ours, in milliseconds. */
    let ahead = 0

    /** Sends a request, and repeats it once after correcting the clock or replacing expired keys. */
    const ask = (
      body: string,
      mended?: "Clock" | "Keys"
    ): Effect.Effect<SecretRequest.Reply, SourceUnavailable> =>
      Effect.gen(function*() {
        const keys = yield* readKeys(mended === "Keys")
        const headers = {
          "content-type": "application/x-amz-json-1.1",
          "x-amz-target": "secretsmanager.GetSecretValue"
        }
        const reply = yield* inquiry.ask((now) => ({
          method: "POST",
          url: endpoint.href,
          headers: sign(
            { method: "POST", host: endpoint.host, headers, body },
            keys,
            { at: now + ahead, region, service: "secretsmanager" }
          ),
          body,
          isRepeatable: true
        }), verdict)
        if (reply.status === 200 || mended !== undefined) return reply
        const error = errorOf(reply)
        if (error === "ExpiredTokenException") return yield* ask(body, "Keys")
        const at = reply.askedAt + ahead
        const skew = (HttpDate.ofResponse(reply.headers) ?? at) - at
        if (!clockErrors.has(error) || Math.abs(skew) <= tolerance) return reply
        ahead += skew
        return yield* ask(body, "Clock")
      })

    const versionOf = Effect.fnUntraced(function*(secretId: string, stage: string) {
      const reply = yield* ask(JSON.stringify({ SecretId: secretId, VersionStage: stage }))
      if (reply.status !== 200) {
        const error = errorOf(reply)
        return error === "ResourceNotFoundException" ? undefined : yield* Effect.fail(failed(error, reply))
      }
      const answer = secretValue(reply)
      if (answer === undefined) return yield* Effect.fail(strange)
      const text = answer.SecretString ?? Buffer.from(answer.SecretBinary ?? "", "base64").toString("utf8")
      const value = field === undefined ? text : fieldOf(text, field)
      if (value === undefined || value === "") return yield* Effect.fail(empty(field))
      return { id: answer.VersionId, value: Redacted.make(value) }
    })

    return {
      name: Keys.sourceName,
      fetch: (request, refused) =>
        Effect.gen(function*(): Effect.fn.Return<Secret | undefined, SourceUnavailable> {
          const secretId = Naming.fill(template, request)
          if (secretId === undefined) return undefined
          const current = yield* versionOf(secretId, stage)
          if (current === undefined) return undefined
          if (refused !== undefined && isSame(current.value, refused)) refusedVersions.set(secretId, current.id)
          if (refusedVersions.get(secretId) !== current.id) return { value: current.value }
          for (const other of whenRefused) {
            const version = yield* versionOf(secretId, other)
            const isNew = version !== undefined && version.id !== current.id &&
              !(refused !== undefined && isSame(version.value, refused))
            if (isNew) return { value: version.value }
          }
          return { value: current.value }
        })
    }
  })

/** Credentials from AWS Secrets Manager, cached by {@link RefreshingCredentials}. */
export const layer = (
  options: AwsSecretsManagerOptions,
  keeper?: RefreshingCredentials.RefreshingCredentialsOptions
): Layer.Layer<never, never, HttpClient> => RefreshingCredentials.layer(make(options), keeper)

/**
 * The variables of AWS's own tools: `AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_SECRETS_MANAGER`, and
 * `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`. Without keys, the SDK's chain of providers
 * looks for some. `AWS_SECRET_ID` is the template of the names, and `AWS_SECRET_FIELD` the field. Absent without a
 * region.
 */
export const config: Config.Config<AwsSecretsManagerOptions> = Config.flatMap(
  EnvironmentOptions.or(EnvironmentOptions.text("AWS_REGION"), EnvironmentOptions.required("AWS_DEFAULT_REGION")),
  (region) =>
    Config.all({
      region: EnvironmentOptions.checked("AWS_REGION", Config.succeed(region), checkRegion),
      secretId: EnvironmentOptions.checked("AWS_SECRET_ID", EnvironmentOptions.text("AWS_SECRET_ID"), (template) =>
        Naming.checked("AWS_SECRET_ID", template)),
      field: EnvironmentOptions.text("AWS_SECRET_FIELD"),
      endpoint: EnvironmentOptions.checked(
        "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        EnvironmentOptions.text("AWS_ENDPOINT_URL_SECRETS_MANAGER"),
        (url) =>
          endpointOf(url)
      ),
      credentials: Keys.config
    })
)

/** Credentials from AWS Secrets Manager by {@link config}. */
export const layerConfig = (
  keeper?: RefreshingCredentials.RefreshingCredentialsOptions
): Layer.Layer<never, Config.ConfigError, HttpClient> =>
  Layer.unwrap(Effect.map(config, (options) => layer(options, keeper)))

const checkRegion = (region: string): void => {
  if (!/^[a-z]{2}(?:-[a-z]+)+-\d+$/.test(region)) throw new Error("region must be an AWS region, such as eu-central-1")
}

const endpointOf = (url: string): URL => {
  const endpoint = new URL(SecretRequest.baseUrl("endpoint", url))
  if (endpoint.pathname !== "/") throw new Error("endpoint must have no path")
  return endpoint
}

/** docs.aws.amazon.com/general/latest/gr/asm.html; China is a separate partition. */
const publicEndpoint = (region: string) =>
  `https://secretsmanager.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`

/** docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
const secretValue = SecretRequest.decoder(
  Schema.Struct({
    SecretString: Schema.optional(Schema.String),
    SecretBinary: Schema.optional(Schema.String),
    VersionId: Schema.NonEmptyString
  })
)

const errorAnswer = SecretRequest.decoder(Schema.Struct({ __type: Schema.String }))

/** The name of an error: after a `#`, before a `:`. A text that does not look like a name is not repeated. */
const errorOf = (reply: SecretRequest.Reply): string => {
  const type = reply.headers["x-amzn-errortype"] ?? errorAnswer(reply)?.__type ?? ""
  return /^(?:[\w.]+#)?([A-Z]\w{0,63})(?::.*)?$/.exec(type)?.[1] ?? ""
}

/** docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html; throttling has status 400. */
const verdict = (reply: SecretRequest.Reply): SecretRequest.Verdict =>
  /^(?:Throttl|TooManyRequests|RequestLimitExceeded)/.test(errorOf(reply)) ? "Busy" : SecretRequest.byStatus(reply)

/** Errors that a wrong clock can cause: those of the AWS SDK for JavaScript (@smithy/service-error-classification). */
const clockErrors: ReadonlySet<string> = new Set([
  "AuthFailure",
  "InvalidSignatureException",
  "RequestExpired",
  "RequestInTheFuture",
  "RequestTimeTooSkewed",
  "SignatureDoesNotMatch"
])

/** AWS accepts a signature for five minutes; below four minutes of difference the clock is not the cause. */
const tolerance = 240_000

const refusals =
  /^(?:AccessDenied|UnrecognizedClient|InvalidClientTokenId|ExpiredToken|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|MissingAuthenticationToken|NotAuthorized|OptInRequired)/

const failed = (error: string, { retryAfterMillis, status }: SecretRequest.Reply): SourceUnavailable =>
  refusals.test(error)
    ? sourceRefusal(Keys.sourceName, `it refuses access (${error})`)
    : sourceUnavailable(
      Keys.sourceName,
      `it does not answer as expected (${error || "no error"}, status ${status})`,
      retryAfterMillis
    )

const strange = sourceUnavailable(Keys.sourceName, "its response does not match its API")

const empty = (field: string | undefined) =>
  sourceUnavailable(
    Keys.sourceName,
    field === undefined ? "the secret is empty" : `the secret has no text in its field ${field}`
  )

const jsonObject = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const fieldOf = (text: string, field: string): string | undefined => {
  const fields = Option.getOrUndefined(jsonObject(text))
  const value = fields !== undefined && Object.hasOwn(fields, field) ? fields[field] : undefined
  return typeof value === "string" ? value : undefined
}

const isSame = (a: Redacted.Redacted, b: Redacted.Redacted) => Redacted.value(a) === Redacted.value(b)
