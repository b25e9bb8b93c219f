/** Client authentication at the token endpoint: RFC 6749, 2.3.1, and RFC 7523, 2.2. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createPrivateKey, type KeyObject, randomUUID, sign } from "node:crypto"
import { readFile } from "node:fs/promises"
import { type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as SourceSecret from "../../credentials/SourceSecret.ts"
import * as BasicAuth from "../../transport/BasicAuth.ts"
import * as EnvironmentOptions from "../EnvironmentOptions.ts"

export const sourceName = "oauth"

export type ClientAuth =
  /** `client_secret_basic`: id and secret in the `Authorization` header, form-encoded first as the RFC requires. */
  | { readonly _tag: "Basic"; readonly clientId: string; readonly secret: SourceSecret.SourceSecret }
  /** `client_secret_post`: id and secret in the body, for servers without support for the header. */
  | { readonly _tag: "Post"; readonly clientId: string; readonly secret: SourceSecret.SourceSecret }
  /**
   * `private_key_jwt`: an assertion valid for one minute, signed with a key in PEM: RS256 with an RSA key of at least
   * 2048 bits, ES256 with a key on P-256. `keyId` identifies one of several keys. `audience` is by default the token
   * endpoint; some servers require their issuer.
   */
  | {
    readonly _tag: "PrivateKey"
    readonly clientId: string
    readonly key: SourceSecret.SourceSecret
    readonly keyId?: string | undefined
    readonly audience?: string | undefined
  }
  /** A public client, with an id but no secret. */
  | { readonly _tag: "None"; readonly clientId: string }

/** Reads the options from variables that begin with `prefix`. */
export const config = (prefix: string): Config.Config<ClientAuth> =>
  Config.flatMap(
    Config.all({
      clientId: EnvironmentOptions.text(`${prefix}CLIENT_ID`),
      secret: EnvironmentOptions.secret(`${prefix}CLIENT_SECRET`),
      method: EnvironmentOptions.word(`${prefix}CLIENT_AUTH`, ["basic", "post"]),
      key: EnvironmentOptions.secret(`${prefix}PRIVATE_KEY`),
      keyFile: EnvironmentOptions.text(`${prefix}PRIVATE_KEY_FILE`),
      keyId: EnvironmentOptions.text(`${prefix}PRIVATE_KEY_ID`),
      audience: EnvironmentOptions.text(`${prefix}ASSERTION_AUDIENCE`)
    }),
    ({ audience, clientId, key, keyFile, keyId, method, secret }): Config.Config<ClientAuth> => {
      if (clientId === undefined) return EnvironmentOptions.mistaken(`${prefix}CLIENT_ID`, "is required")
      if ([secret, key, keyFile].filter((one) => one !== undefined).length > 1) {
        return EnvironmentOptions.mistaken(
          `${prefix}CLIENT_SECRET`,
          "must not be combined: use a secret, a private key or a private key file"
        )
      }
      if (secret !== undefined) return Config.succeed({ _tag: method === "basic" ? "Basic" : "Post", clientId, secret })
      const pem = key === undefined ? keyFile === undefined ? undefined : fromFile(keyFile) : unfolded(key)
      return pem === undefined
        ? Config.succeed({ _tag: "None", clientId })
        : Config.succeed({ _tag: "PrivateKey", clientId, key: pem, keyId, audience })
    }
  )

/** In a variable of one line, `\n` stands for the line ends of a PEM. */
const unfolded = (key: Redacted.Redacted) => Redacted.make(Redacted.value(key).replaceAll("\\n", "\n"))

const fromFile = (file: string): SourceSecret.SourceSecret =>
  Effect.map(
    Effect.tryPromise({
      try: () => readFile(file, "utf8"),
      catch: () => sourceUnavailable(sourceName, "the client's private key cannot be read")
    }),
    (text) => Redacted.make(text)
  )

/** The headers and parameters that authentication adds to a request. */
export interface Shown {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: ReadonlyArray<readonly [name: string, value: string]>
}

/**
 * Reads the secret. Returns a function that authenticates one attempt, as an assertion is valid once. `now` is server
 * time.
 */
export const read = (
  client: ClientAuth,
  tokenUrl: string
): Effect.Effect<(now: number) => Shown, SourceUnavailable> => {
  switch (client._tag) {
    case "Basic":
      return Effect.map(SourceSecret.read(client.secret), (secret) => {
        const authorization = BasicAuth.encode(formEncoded(client.clientId), formEncoded(Redacted.value(secret)))
        return () => ({ headers: { authorization }, parameters: [] })
      })
    case "Post":
      return Effect.map(SourceSecret.read(client.secret), (secret) => () => ({
        headers: {},
        parameters: [["client_id", client.clientId], ["client_secret", Redacted.value(secret)]]
      }))
    case "PrivateKey":
      return Effect.flatMap(SourceSecret.read(client.key), (pem) =>
        Effect.try({
          try: () => {
            const key = createPrivateKey(Redacted.value(pem))
            const algorithm = algorithmOf(key)
            return (now: number): Shown => ({
              headers: {},
              parameters: [
                ["client_id", client.clientId],
                ["client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
                [
                  "client_assertion",
                  statement(client, algorithm, client.audience ?? tokenUrl, key, Math.floor(now / 1_000))
                ]
              ]
            })
          },
          catch: () => sourceUnavailable(sourceName, "the client's private key fits neither RS256 nor ES256")
        }))
    case "None":
      return Effect.succeed(() => ({ headers: {}, parameters: [["client_id", client.clientId]] }))
  }
}

/** RFC 7518, 3.3 and 3.4. */
const algorithmOf = ({ asymmetricKeyDetails: details, asymmetricKeyType: kind }: KeyObject): string => {
  if (kind === "rsa" && (details?.modulusLength ?? 0) >= 2048) return "RS256"
  if (kind === "ec" && details?.namedCurve === "prime256v1") return "ES256"
  throw new Error("another kind of key")
}

/** The claims of RFC 7523, 3: client, audience, expiry and a unique id. */
const statement = (
  { clientId, keyId }: ClientAuth & { readonly _tag: "PrivateKey" },
  algorithm: string,
  audience: string,
  key: KeyObject,
  seconds: number
): string => {
  const head = { alg: algorithm, typ: "JWT", ...(keyId === undefined ? {} : { kid: keyId }) }
  const said = { iss: clientId, sub: clientId, aud: audience, jti: randomUUID(), iat: seconds, exp: seconds + 60 }
  const text = `${base64Url(JSON.stringify(head))}.${base64Url(JSON.stringify(said))}`
  // RFC 7518, 3.4: r and s side by side, not in DER.
  return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`
}

const base64Url = (text: string) => Buffer.from(text).toString("base64url")

const formEncoded = (text: string) => new URLSearchParams([["", text]]).toString().slice(1)
