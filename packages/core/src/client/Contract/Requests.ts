/** Encodes requests by a contract: the schemas of an endpoint write path, headers and body of a call. */
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpMethod from "effect/http/HttpMethod"
import * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"
import { InvalidRequest } from "../../Reason.ts"
import type { Encoded, Input } from "../Contract.ts"
import { issueOf } from "./Issues.ts"

/** Builds the path and query of an endpoint. */
export type UrlOf = (input: Pick<Input, "params" | "query">) => string

/** Makes the encoder of an endpoint. Throws when its payload cannot be sent. */
export const makeEncoder = (
  id: string,
  endpoint: HttpApiEndpoint.Top,
  url: UrlOf
): (input: Input | undefined) => Encoded | InvalidRequest => {
  if (endpoint.payload.size > 0 && !HttpMethod.hasBody(endpoint.method)) {
    throw new Error(`Vendor: ${id} is a ${endpoint.method} with a payload; declare it as its query`)
  }
  const encodeHeaders = endpoint.headers === undefined ? undefined : encoder(endpoint.headers)
  const payloads = Array.from(endpoint.payload.values(), ({ encoding, schemas }) => ({
    contentType: encoding.contentType,
    write: writerOf(id, encoding._tag),
    encode: encoder(schemas.length === 1 ? schemas[0] : Schema.Union(schemas))
  }))
  return (input = {}) => {
    try {
      refuseEmptySegments(input.params)
      const path = url(input)
      const headers: Array<string> = []
      if (encodeHeaders !== undefined) {
        const encoded = encodeHeaders(input.headers) as Record<string, string | undefined>
        for (const name in encoded) {
          if (encoded[name] !== undefined) headers.push(name, encoded[name])
        }
      }
      if (payloads.length === 0) return { _tag: "Encoded", path, headers, body: undefined }
      let issue: unknown
      for (const payload of payloads) {
        try {
          const body = payload.write(payload.encode(input.payload))
          headers.push("content-type", payload.contentType)
          return { _tag: "Encoded", path, headers, body }
        } catch (error) {
          issue ??= error
        }
      }
      return new InvalidRequest(issueOf(issue))
    } catch (error) {
      return new InvalidRequest(issueOf(error))
    }
  }
}

/** A path without its last segment addresses another resource, perhaps the whole collection. */
const refuseEmptySegments = (params: unknown): void => {
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value === "") throw new Error(`Missing path parameter: ${name}`)
  }
}

/** Encodes values by a schema. Throws on invalid input. */
export const encoder = (schema: Schema.Top): (input: unknown) => unknown => {
  SchemaJITCompiler.enable(SchemaAST.flip(schema.ast))
  return Schema.encodeUnknownSync(schema as unknown as Schema.ConstraintEncoder<unknown>)
}

const writerOf = (id: string, encoding: string): (encoded: unknown) => string | Uint8Array => {
  switch (encoding) {
    case "Json":
      return (encoded) => JSON.stringify(encoded)
    case "FormUrlEncoded":
      return (encoded) => UrlParams.toString(UrlParams.fromInput(encoded as UrlParams.Input))
    case "Text":
    case "Uint8Array":
      return (encoded) => encoded as string | Uint8Array
    default:
      throw new Error(
        `Vendor: ${id} declares a payload as ${encoding}; a guarded call can send JSON, a form, text or bytes`
      )
  }
}
