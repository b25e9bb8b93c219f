/** Encodes requests by a contract: the schemas of an endpoint write path, headers and body of a call. */
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpMethod from "effect/http/HttpMethod"
import * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"
import { InvalidRequest } from "../../Reason.ts"
import type { Encoded, Input } from "../Contract.ts"
import { issueOf } from "./Issues.ts"
import { type Exponents, exponentsOf, plainUrl, plainValue, refuseHalves } from "./Texts.ts"

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
  const isEmpty = ({ ast }: Schema.Top) => HttpApiSchema.isNoContent(ast)
  const mayBeEmpty = Array.from(endpoint.payload.values()).some(({ schemas }) => schemas.some(isEmpty))
  const payloads = Array.from(
    endpoint.payload.values(),
    ({ encoding, schemas }) => ({ encoding, schemas: schemas.filter((schema) => !isEmpty(schema)) })
  )
    .filter(({ schemas }) => schemas.length > 0)
    .map(({ encoding, schemas }) => ({
      contentType: encoding.contentType,
      write: writerOf(id, encoding._tag),
      isForm: encoding._tag === "FormUrlEncoded",
      encode: encoder(schemas.length === 1 ? schemas[0]! : Schema.Union(schemas))
    }))
  return (input = {}) => {
    try {
      refuseEmptySegments(input.params)
      const exponents = exponentsOf(input)
      const path = plainUrl(url(input), exponents)
      const headers: Array<string> = []
      if (encodeHeaders !== undefined) {
        const encoded = encodeHeaders(input.headers) as Record<string, string | undefined>
        for (const name in encoded) {
          if (encoded[name] !== undefined) headers.push(name, plainValue(encoded[name], exponents))
        }
      }
      if (payloads.length === 0 || (mayBeEmpty && input.payload === undefined)) {
        return { _tag: "Encoded", path, headers, body: undefined }
      }
      let issue: unknown
      for (const payload of payloads) {
        try {
          const encoded = payload.encode(input.payload)
          refuseHalves(encoded)
          const body = payload.write(payload.isForm ? plainForm(encoded, exponents) : encoded)
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

/** A form's flat fields, each a text or several. */
const plainForm = (fields: unknown, exponents: Exponents): unknown =>
  exponents.size === 0 ? fields : Object.fromEntries(
    Object.entries(fields as Record<string, unknown>).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.map((one: unknown) => plainValue(one, exponents)) : plainValue(value, exponents)
    ])
  )

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
