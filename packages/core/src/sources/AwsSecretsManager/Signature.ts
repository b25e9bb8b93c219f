/**
 * Signature Version 4 of AWS, for a single request with a body to the root of a service
 * (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
 */
import * as Redacted from "effect/Redacted"
import { createHash, createHmac } from "node:crypto"

/** AWS keys, long-lived or of a session. */
export interface AwsKeys {
  readonly accessKeyId: string
  readonly secretAccessKey: Redacted.Redacted
  readonly sessionToken?: Redacted.Redacted | undefined
}

export interface Unsigned {
  readonly method: string
  readonly host: string
  /** Headers in lower case, without `host` and `x-amz-date`. All of them are signed. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface Place {
  readonly region: string
  readonly service: string
  /** Unix time in milliseconds, by AWS's clock. */
  readonly at: number
}

/** The headers of the request together with its signature; the client adds `host`. */
export const sign = (request: Unsigned, keys: AwsKeys, { at, region, service }: Place): Record<string, string> => {
  const date = new Date(at).toISOString().replaceAll(/[-:]|\.\d+/g, "")
  const day = date.slice(0, 8)
  const headers: Record<string, string> = {
    ...request.headers,
    "x-amz-date": date,
    ...(keys.sessionToken === undefined ? {} : { "x-amz-security-token": Redacted.value(keys.sessionToken) })
  }
  const signed: Record<string, string> = { ...headers, host: request.host }
  const names = Object.keys(signed).toSorted()
  const canonical = [
    request.method,
    "/",
    "",
    ...names.map((name) => `${name}:${signed[name]!.trim().replaceAll(/ +/g, " ")}`),
    "",
    names.join(";"),
    sha256(request.body)
  ].join("\n")
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ["AWS4-HMAC-SHA256", date, scope, sha256(canonical)].join("\n")
  const key = [day, region, service, "aws4_request"].reduce<string | Buffer>(
    hmac,
    `AWS4${Redacted.value(keys.secretAccessKey)}`
  )
  const signature = hmac(key, toSign).toString("hex")
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${
      names.join(";")
    }, Signature=${signature}`
  }
}

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

const hmac = (key: string | Buffer, text: string) => createHmac("sha256", key).update(text).digest()
