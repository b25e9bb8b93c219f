/**
 * A vendor's `HttpApi`, compiled once: how each endpoint's input becomes a request, and what each of its answers means.
 * Everything is synchronous; schemas that need services or promises are not for a wire format. They become code at their
 * first use, where the engine lets text become code; elsewhere (`--disallow-code-generation-from-strings`) Effect
 * interprets them, to the same end.
 */
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpMethod from "effect/http/HttpMethod"
import * as UrlParams from "effect/http/UrlParams"
import * as Schema from "effect/Schema"
import * as SchemaJITCompiler from "effect/schema/SchemaJITCompiler"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Range from "../Range.ts"
import { InvalidRequest, InvalidResponse, type Reason } from "../Reason.ts"
import type * as SafetyModule from "../Safety.ts"
import type * as Policy from "../stack/Policy.ts"
import { header, type ResponseHeaders } from "../transport/Transport.ts"
import { type Answer, reasonOf } from "./Answer.ts"
import * as Operation from "./Operation.ts"
import * as Sample from "./Sample.ts"

/** The parts of a call that a caller gives, each as its schema decodes it. */
export interface Input {
  readonly params?: unknown
  readonly query?: unknown
  readonly headers?: unknown
  readonly payload?: unknown
}

/** A request as the contract makes it, before credential and idempotency key. */
export interface Encoded {
  readonly _tag: "Encoded"
  readonly path: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: string | Uint8Array | undefined
}

/** One endpoint, compiled. */
export interface CompiledOperation {
  readonly group: string
  readonly isTopLevel: boolean
  /** The endpoint's own name. */
  readonly name: string
  /** `group.name`, or the name alone in a top-level group. */
  readonly id: string
  readonly method: string
  /** The path as declared, with its parameters' names. */
  readonly template: string
  readonly safety: SafetyModule.Safety
  readonly cost: number
  readonly policy: Policy.Policy | undefined
  encode(input: Input | undefined): Encoded | InvalidRequest
  /** The answer as the contract declares it, or the reason it is none. */
  decode(answer: Answer, body: Uint8Array): Exit.Exit<unknown, unknown> | Reason
  /** How an answer is written down, to be read by another process; `undefined` where it is not JSON. */
  readonly codec: Codec | undefined
}

/** Writes an answer down, and reads it again; both throw on what does not fit. */
export interface Codec {
  encode(value: unknown): string
  decode(text: string): unknown
}

/** Compiles a contract. Throws when an endpoint cannot be guarded as it is declared, and says what to change. */
export const compile = (api: HttpApi.Top): ReadonlyArray<CompiledOperation> => {
  const operations: Array<CompiledOperation> = []
  const urls = HttpApiClient.urlBuilder(api) as unknown as Urls
  HttpApi.reflect(api, {
    onGroup() {},
    onEndpoint({ endpoint, errors, group, mergedAnnotations, successes }) {
      const id = group.topLevel ? endpoint.identifier : `${group.identifier}.${endpoint.identifier}`
      const url = (group.topLevel ? urls[endpoint.identifier] : urls[group.identifier]![endpoint.identifier]) as UrlOf
      refuseStreams(id, endpoint, successes)
      operations.push({
        group: group.identifier,
        isTopLevel: group.topLevel,
        name: endpoint.identifier,
        id,
        method: endpoint.method,
        template: endpoint.path,
        safety: safetyOf(id, endpoint, mergedAnnotations),
        cost: Range.atLeast(`${id}: cost`, Context.getOrUndefined(mergedAnnotations, Operation.Cost) ?? 1, 0),
        policy: Context.getOrUndefined(mergedAnnotations, Operation.Policy),
        encode: makeEncoder(id, endpoint, url),
        decode: makeDecoder(successes, errors),
        codec: codecOf(successes)
      })
    }
  })
  return operations
}

type UrlOf = (input: Pick<Input, "params" | "query">) => string
type Urls = Record<string, UrlOf & Record<string, UrlOf>>

const safetyOf = (
  id: string,
  endpoint: HttpApiEndpoint.Top,
  annotations: Context.Context<never>
): SafetyModule.Safety => {
  const declared = Context.getOrUndefined(annotations, Operation.Safety)
  if (declared !== undefined) return declared
  if (endpoint.method === "GET" || endpoint.method === "HEAD") return "Idempotent"
  throw new Error(
    `Vendor: ${id} is a ${endpoint.method} and does not say what sending it twice means; ` +
      `add .annotate(Operation.Safety, "Idempotent" | "Keyed" | "Unsafe")`
  )
}

/** What reflection leaves out of an endpoint's successes are its streams and upgrades. */
const refuseStreams = (id: string, endpoint: HttpApiEndpoint.Top, successes: Schemas): void => {
  const buffered = Array.from(successes.values()).reduce((sum, schemas) => sum + schemas.length, 0)
  if (endpoint.success.size > buffered) {
    throw new Error(`Vendor: ${id} declares a stream or an upgrade, which a guarded call cannot bound`)
  }
}

// -------------------------------------------------------------------------------------------------------- requests

const makeEncoder = (
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

/** Without its last segment a path is another one, that of the whole collection perhaps. */
const refuseEmptySegments = (params: unknown): void => {
  for (const [name, value] of Object.entries(params ?? {})) {
    if (value === "") throw new Error(`Missing path parameter: ${name}`)
  }
}

const encoder = (schema: Schema.Top): (input: unknown) => unknown => {
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

// --------------------------------------------------------------------------------------------------------- answers

type Schemas = ReadonlyMap<number, readonly [Schema.Top, ...Array<Schema.Top>]>
type Reader = (answer: Answer, body: Uint8Array) => unknown

const makeDecoder = (successes: Schemas, errors: Schemas): CompiledOperation["decode"] => {
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
        return Exit.fail(declared(answer, body))
      } catch {
        // Not the error the contract means; the status still says what it says.
      }
    }
    return reasonOf(answer.status, answer.retryAfterMillis)
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
    // The contract's JSON codec stands between: it has null for what is nothing.
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
      return (_answer, body) => decode(textOf(body))
    case "FormUrlEncoded":
      return (_answer, body) => decode(UrlParams.toRecord(UrlParams.fromInput(new URLSearchParams(textOf(body)))))
    case "Uint8Array":
      return (_answer, body) => decode(body)
    default:
      throw new Error(`Vendor: an answer encoded as ${encoding} is not supported`)
  }
}

const decoder = (schema: Schema.Top): (input: unknown) => unknown => {
  SchemaJITCompiler.enable(schema.ast)
  return Schema.decodeUnknownSync(schema as unknown as Schema.ConstraintDecoder<unknown>)
}

const codecOf = (successes: Schemas): Codec | undefined => {
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

const textOf = (body: Uint8Array): string => new TextDecoder().decode(body)

const notJson = new Error("Expected a JSON body")

// ---------------------------------------------------------------------------------------------------------- issues

/** What is wrong, and where; a schema's issue holds no value unless `reportInput` asks for it, which nobody does here. */
const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const issueOf = (error: unknown): string => {
  const message = Schema.isSchemaError(error)
    ? formatIssues(error.issue).issues.map(({ message, path = [] }) => message + placeOf(path)).join(" ")
    : error === notJson
    ? notJson.message
    : describe(error)
  return message.replaceAll(/\s*\n\s*/g, " ").slice(0, 500)
}

/** The keys that lead to a value, as far as they are names: the keys of a record are values themselves. */
const placeOf = (path: ReadonlyArray<unknown>): string =>
  path.length === 0
    ? ""
    : ` at ${path.map((key) => `[${typeof key === "number" ? key : nameOf(String(key))}]`).join("")}`

const nameOf = (key: string): string => Sample.isName(key) ? `"${key}"` : "<key>"

/** A path parameter that is missing, empty or `..`: the message names the parameter. Anything else is a codec that threw. */
const describe = (error: unknown): string =>
  error instanceof Error && /^(?:Invalid|Missing) path parameter: \w+$/.test(error.message)
    ? error.message
    : "a codec of the contract failed"

const sampleOf = (answer: Answer, body: Uint8Array): string =>
  answer.json === undefined
    ? Sample.ofBytes(body, header(answer.headers, "content-type"))
    : Sample.ofJson(answer.json)

/** The groups of a contract as the client shows them. */
export type Groups<Api> = Api extends HttpApi.HttpApi<infer _Id, infer G extends HttpApiGroup.Constraint> ? G : never
