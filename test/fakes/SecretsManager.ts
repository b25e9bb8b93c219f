/**
 * A fake of AWS Secrets Manager: `GetSecretValue` by its API reference
 * (docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html and CommonErrors.html). It checks every
 * signature with AWS's own library, rejects requests outside the reference, and moves stages as a rotation does.
 */
import { SignatureV4 } from "@smithy/signature-v4"
import { Clock, Effect, type Scope } from "effect"
import { createHash, createHmac, type Hash, type Hmac, randomUUID } from "node:crypto"
import { createServer, type IncomingMessage } from "node:http"
import * as Watch from "../watches/Watch.ts"
import * as Loopback from "./Loopback.ts"

interface Version {
  readonly id: string
  readonly value: string | Uint8Array
  readonly stages: Set<string>
}

export interface Keys {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

interface Asked {
  readonly secretId: string | undefined
  readonly stage: string | undefined
  readonly accessKeyId: string | undefined
  readonly error: string | undefined
}

export interface FakeSecretsManager {
  readonly endpoint: string
  readonly asked: ReadonlyArray<Asked>
  readonly untilAsked: (count: number) => Effect.Effect<void>
  /** Accepted access keys. */
  readonly keys: Set<Keys>
  /** Session tokens that have expired. */
  readonly expired: Set<string>
  /** Makes a version current, and the former current one previous. */
  put(name: string, value: string | Uint8Array): void
  /** Makes a version that is pending: a rotation has begun. */
  begin(name: string, value: string): void
  /** Makes the pending version current, and the former current one previous. */
  finish(name: string): void
  /** The lead of its clock over the test's, in milliseconds. */
  ahead: number
  /** Error responses to the next requests, in order. */
  readonly trouble: Array<readonly [status: number, error: string]>
}

export const region = "eu-central-1"

/** The environment of a service that reads from it, with an access key of its own. */
export const environmentOf = (fake: FakeSecretsManager): Record<string, string> => {
  const keys = { accessKeyId: randomUUID().slice(0, 8), secretAccessKey: randomUUID() }
  fake.keys.add(keys)
  return {
    CREDENTIALS: "aws-secrets-manager",
    AWS_REGION: region,
    AWS_ENDPOINT_URL_SECRETS_MANAGER: fake.endpoint,
    AWS_ACCESS_KEY_ID: keys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: keys.secretAccessKey
  }
}

/** Serves at a free port of this machine until the scope ends. */
export const serve: Effect.Effect<FakeSecretsManager, never, Scope.Scope> = Effect.gen(function*() {
  const clock = yield* Clock.Clock
  const { changed, until } = Watch.make()
  const asked: Array<Asked> = []
  const secrets = new Map<string, Array<Version>>()

  const answer = async (incoming: IncomingMessage, text: string): Promise<Answered> => {
    const now = clock.currentTimeMillisUnsafe() + fake.ahead
    const refusal = await unsigned(incoming, text, now, fake)
    if (refusal !== undefined) return refusal
    const trouble = fake.trouble.shift()
    if (trouble !== undefined) return error(...trouble)
    if (
      incoming.method !== "POST" || incoming.url !== "/" ||
      incoming.headers["content-type"] !== "application/x-amz-json-1.1" ||
      incoming.headers["x-amz-target"] !== "secretsmanager.GetSecretValue"
    ) return error(400, "UnknownOperationException")
    const { SecretId, VersionId, VersionStage, ...more } = JSON.parse(text) as Record<string, string>
    if (SecretId === undefined || Object.keys(more).length > 0) return error(400, "InvalidParameterException")
    const version = secrets.get(SecretId)?.find(({ id, stages }) =>
      VersionId === undefined ? stages.has(VersionStage ?? "AWSCURRENT") : id === VersionId
    )
    if (version === undefined) return error(400, "ResourceNotFoundException")
    return {
      status: 200,
      body: {
        ARN: `arn:aws:secretsmanager:${region}:111122223333:secret:${SecretId}-AbCdEf`,
        CreatedDate: Math.floor(now / 1_000),
        Name: SecretId,
        ...(typeof version.value === "string"
          ? { SecretString: version.value }
          : { SecretBinary: Buffer.from(version.value).toString("base64") }),
        VersionId: version.id,
        VersionStages: [...version.stages]
      }
    }
  }

  const server = createServer(async (incoming, outgoing) => {
    const chunks: Array<Buffer> = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString("utf8")
    const { body, status } = await answer(incoming, text)
    const request = JSON.parse(text) as { SecretId?: string; VersionStage?: string }
    asked.push({
      secretId: request.SecretId,
      stage: request.VersionStage,
      accessKeyId: /Credential=([^/]+)/.exec(incoming.headers.authorization ?? "")?.[1],
      error: "__type" in body ? String(body.__type) : undefined
    })
    const date = new Date(clock.currentTimeMillisUnsafe() + fake.ahead).toUTCString()
    outgoing.writeHead(status, { "content-type": "application/x-amz-json-1.1", date }).end(JSON.stringify(body))
    changed()
  })
  const { port } = yield* Loopback.listen(server, changed)

  /** A stage is with one version only. */
  const move = (name: string, stage: string, to: Version | undefined) => {
    for (const version of secrets.get(name) ?? []) version.stages.delete(stage)
    to?.stages.add(stage)
  }
  const promote = (name: string, version: Version) => {
    move(name, "AWSPREVIOUS", secrets.get(name)?.find(({ stages }) => stages.has("AWSCURRENT")))
    move(name, "AWSCURRENT", version)
  }
  const add = (name: string, value: string | Uint8Array): Version => {
    const version = { id: randomUUID(), value, stages: new Set<string>() }
    secrets.set(name, [...(secrets.get(name) ?? []), version])
    return version
  }
  const fake: FakeSecretsManager = {
    endpoint: `http://127.0.0.1:${port}`,
    asked,
    untilAsked: (count) => until(`it was asked ${count} times`, () => asked.length >= count),
    keys: new Set(),
    expired: new Set(),
    put: (name, value) => promote(name, add(name, value)),
    begin: (name, value) => move(name, "AWSPENDING", add(name, value)),
    finish(name) {
      const pending = secrets.get(name)!.find(({ stages }) => stages.has("AWSPENDING"))!
      promote(name, pending)
      move(name, "AWSPENDING", undefined)
    },
    ahead: 0,
    trouble: []
  }
  return fake
})

interface Answered {
  readonly status: number
  readonly body: object
}

const error = (status: number, type: string): Answered => ({
  status,
  body: { __type: type, Message: `the fake says ${type}` }
})

/** The error of a signature, by AWS's own library. */
const unsigned = async (
  { headers, method = "", url = "/" }: IncomingMessage,
  body: string,
  now: number,
  { expired, keys }: FakeSecretsManager
): Promise<Answered | undefined> => {
  const given =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([\w-]+)\/secretsmanager\/aws4_request, SignedHeaders=([\w;-]+), Signature=([0-9a-f]{64})$/
      .exec(headers.authorization ?? "")
  if (given === null) return error(400, "IncompleteSignatureException")
  const [, accessKeyId, day, inRegion, names = "", signature] = given
  const known = [...keys].find((one) => one.accessKeyId === accessKeyId)
  if (known === undefined || known.sessionToken !== headers["x-amz-security-token"]) {
    return error(400, "UnrecognizedClientException")
  }
  if (expired.has(known.sessionToken ?? "")) return error(400, "ExpiredTokenException")
  const date = String(headers["x-amz-date"])
  const signedAt = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))
  if (Number.isNaN(signedAt) || !date.startsWith(String(day)) || inRegion !== region) {
    return error(400, "IncompleteSignatureException")
  }
  if (Math.abs(signedAt - now) > 300_000) return error(400, "InvalidSignatureException")
  const signed = names.split(";")
  // The host and all headers of AWS must be signed.
  if (
    !signed.includes("host") || Object.keys(headers).some((name) => name.startsWith("x-amz-") && !signed.includes(name))
  ) {
    return error(400, "InvalidSignatureException")
  }
  const { pathname } = new URL(url, "http://localhost")
  const again = await new SignatureV4({
    credentials: known,
    region,
    service: "secretsmanager",
    sha256: Sha256,
    applyChecksum: false
  }).sign({
    method,
    protocol: "http:",
    hostname: "",
    path: pathname,
    query: {},
    headers: Object.fromEntries(signed.map((name) => [name, String(headers[name])])),
    body
  }, { signingDate: new Date(signedAt) })
  return again.headers["authorization"]?.endsWith(`Signature=${signature}`) === true
    ? undefined
    : error(400, "InvalidSignatureException")
}

/** The hash that AWS's library wants to be given. */
export class Sha256 {
  private readonly hash: Hash | Hmac
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.hash = secret === undefined
      ? createHash("sha256")
      : createHmac("sha256", typeof secret === "string" ? secret : Buffer.from(secret as Uint8Array))
  }
  update(chunk: string | ArrayBuffer | ArrayBufferView) {
    this.hash.update(typeof chunk === "string" ? chunk : Buffer.from(chunk as Uint8Array))
  }
  digest() {
    return Promise.resolve(new Uint8Array(this.hash.digest()))
  }
  reset() {}
}
