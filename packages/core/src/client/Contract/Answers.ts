/** Decodes responses by a contract: the status selects a declared success or error, whose schemas read the body. */
import * as Exit from "effect/Exit"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"
import { InvalidResponse } from "../../Reason.ts"
import * as Charset from "../../transport/Charset.ts"
import * as Form from "../../transport/Form.ts"
import { header } from "../../transport/Headers.ts"
import type { ResponseHeaders } from "../../transport/Transport.ts"
import { type Answer, failureBehind, reasonOf } from "../Answer.ts"
import type { Codec, CompiledOperation } from "../Contract.ts"
import * as ResponseShape from "../ResponseShape.ts"
import { issueOf, notJson, notText } from "./Issues.ts"
import { encoder } from "./Requests.ts"

/** Schemas, keyed by status. */
export type Schemas = ReadonlyMap<number, readonly [Schema.Top, ...Array<Schema.Top>]>
type Reader = (answer: Answer, body: Uint8Array) => unknown

/** Makes the decoder of an endpoint. Throws if the encoding of a response is not supported. */
export const makeDecoder = (successes: Schemas, errors: Schemas): CompiledOperation["decode"] => {
  const readSuccess = readersOf(successes)
  const readError = readersOf(errors)
  return (answer, body) => {
    const success = readSuccess.get(answer.status)
    if (success !== undefined) {
      try {
        return Exit.succeed(success(answer, body))
      } catch (error) {
        return new InvalidResponse(answer.status, issueOf(error), sampleOf(answer, body))
      }
    }
    const declared = readError.get(answer.status)
    if (declared !== undefined) {
      try {
        const error = declared(answer, body)
        return failureBehind(error, answer) ?? Exit.fail(error)
      } catch {
        // The body is not the declared error; the status alone decides.
      }
    }
    return reasonOf(answer)
  }
}

const readersOf = (schemas: Schemas): ReadonlyMap<number, Reader> =>
  new Map(Array.from(schemas, ([status, alternatives]) => [status, firstOf(alternatives.map(readerOf))]))

/** Several schemas for one status are tried in the order of their declaration. */
const firstOf = (readers: ReadonlyArray<Reader>): Reader =>
  readers.length === 1 ? readers[0]! : (answer, body) => {
    let issue: unknown
    for (const read of readers) {
      try {
        return read(answer, body)
      } catch (error) {
        issue ??= error
      }
    }
    throw issue
  }

const readerOf = (schema: Schema.Top): Reader => {
  if (!HttpApiSchema.isWithHeaders(schema)) return bodyReader(schema)
  const readBody = bodyReader(schema.schema)
  const decodeHeaders = decoder(schema.headers)
  return (answer, body) =>
    HttpApiSchema.withHeaders({ body: readBody(answer, body), headers: decodeHeaders(flat(answer.headers)) })
}

const bodyReader = (schema: Schema.Top): Reader => {
  const decode = decoder(schema)
  if (HttpApiSchema.isNoContent(schema.ast)) {
    // The contract's JSON codec sits in between; it encodes no content as null.
    const nothing = SchemaAST.isNull(SchemaAST.toEncoded(schema.ast)) ? null : undefined
    return () => decode(nothing)
  }
  const encoding = encodingOf(schema.ast)
  switch (encoding) {
    case "Json":
      return (answer) => {
        if (answer.json === undefined) throw notJson
        return decode(answer.json)
      }
    case "Text":
      return (answer, body) => decode(textual(Charset.text(body, header(answer.headers, "content-type"))))
    case "FormUrlEncoded":
      return (answer, body) =>
        decode(
          UrlParams.toRecord(UrlParams.fromInput(textual(Form.parse(body, header(answer.headers, "content-type")))))
        )
    case "Uint8Array":
      return (_answer, body) => decode(body)
    default:
      throw new Error(`Vendor: an answer encoded as ${encoding} is not supported`)
  }
}

const textual = <Value>(value: Value | undefined): Value => {
  if (value === undefined) throw notText
  return value
}

const decoder = (schema: Schema.Top): (input: unknown) => unknown => {
  SchemaJITCompiler.enable(schema.ast)
  return Schema.decodeUnknownSync(schema as unknown as Schema.ConstraintDecoder<unknown>)
}

/** The codec of an answer; `undefined` if the answer is more than JSON. */
export const codecOf = (successes: Schemas): Codec | undefined => {
  const schemas = Array.from(successes.values()).flat()
  const isPlain = schemas.every((schema) =>
    !HttpApiSchema.isWithHeaders(schema) && !HttpApiSchema.isNoContent(schema.ast) && encodingOf(schema.ast) === "Json"
  )
  if (!isPlain) return undefined
  const schema = Schema.Union(schemas)
  const encode = encoder(schema)
  const decode = decoder(schema)
  return {
    encode: (value) => JSON.stringify(encode(value)),
    decode: (text) => decode(JSON.parse(text))
  }
}

/** The annotation that `HttpApiSchema.asText` and its kin leave; effect keeps its reader to itself (4.1.0). */
const annotatedEncoding = SchemaAST.resolveAt<{ readonly _tag: string }>("~httpApiEncoding")

const encodingOf = (ast: SchemaAST.AST): string => annotatedEncoding(ast)?._tag ?? "Json"

const flat = (headers: ResponseHeaders): Record<string, string | undefined> =>
  Object.fromEntries(Object.keys(headers).map((name) => [name, header(headers, name)]))

const sampleOf = (answer: Answer, body: Uint8Array): string =>
  answer.json === undefined
    ? ResponseShape.ofBytes(body, header(answer.headers, "content-type"))
    : ResponseShape.ofJson(answer.json)
