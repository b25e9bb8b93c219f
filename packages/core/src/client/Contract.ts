/**
 * Compiles a vendor's `HttpApi` once: how each endpoint's input becomes a request, and what each of its responses
 * means. Everything is synchronous; a wire format has no use for schemas that need services or promises. Schemas are
 * compiled to code at their first use, if the engine allows code from strings. Otherwise
 * (`--disallow-code-generation-from-strings`) Effect interprets them, with the same results.
 */
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as Range from "../Range.ts"
import type { InvalidRequest, Reason } from "../Reason.ts"
import type { Safety } from "../Safety.ts"
import type * as Policy from "../stack/Policy.ts"
import type { Answer, Declared } from "./Answer.ts"
import { codecOf, makeDecoder, type Schemas } from "./Contract/Answers.ts"
import { refuseLocalTimes } from "./Contract/LocalTime.ts"
import { makeEncoder, type UrlOf } from "./Contract/Requests.ts"
import * as Operation from "./Operation.ts"

/** The parts of a call's input, each in the decoded form of its schema. */
export interface Input {
  readonly params?: unknown
  readonly query?: unknown
  readonly headers?: unknown
  readonly payload?: unknown
}

/** A request as the contract encodes it, before credential and idempotency key are added. */
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
  readonly safety: Safety
  readonly cost: number
  readonly policy: Policy.Policy | undefined
  encode(input: Input | undefined): Encoded | InvalidRequest
  /** The answer or the failure that the contract declares, or the reason why the response is neither. */
  decode(answer: Answer, body: Uint8Array): Exit.Exit<unknown, unknown> | Declared | Reason
  /** Why a decoded success cannot be trusted; `undefined` if it can. @default every success is trusted */
  readonly check: ((value: unknown, input: Input) => Reason | undefined) | undefined
  /** The codec with which an answer is stored for other processes; `undefined` if the answer is not JSON. */
  readonly codec: Codec | undefined
}

/** Writes an answer as text and reads it back. Both throw on invalid input. */
export interface Codec {
  encode(value: unknown): string
  decode(text: string): unknown
}

/** Compiles a contract. Throws if an endpoint cannot be guarded as it is declared, and says what to change. */
export const compile = (api: HttpApi.Top): ReadonlyArray<CompiledOperation> => {
  const operations: Array<CompiledOperation> = []
  const urls = HttpApiClient.urlBuilder(api) as unknown as Urls
  HttpApi.reflect(api, {
    onGroup() {},
    onEndpoint({ endpoint, errors, group, mergedAnnotations, successes }) {
      const id = group.topLevel ? endpoint.identifier : `${group.identifier}.${endpoint.identifier}`
      const url = (group.topLevel ? urls[endpoint.identifier] : urls[group.identifier]![endpoint.identifier]) as UrlOf
      refuseStreams(id, endpoint, successes)
      refuseLocalTimes(id, successes)
      refuseLocalTimes(id, errors)
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
        check: Context.getOrUndefined(mergedAnnotations, Operation.Check),
        codec: codecOf(successes)
      })
    }
  })
  return operations
}

type Urls = Record<string, UrlOf & Record<string, UrlOf>>

const safetyOf = (
  id: string,
  endpoint: HttpApiEndpoint.Top,
  annotations: Context.Context<never>
): Safety => {
  const declared = Context.getOrUndefined(annotations, Operation.Safety)
  if (declared !== undefined) return declared
  if (endpoint.method === "GET" || endpoint.method === "HEAD") return "Idempotent"
  throw new Error(
    `Vendor: ${id} is a ${endpoint.method} and does not say what sending it twice means; ` +
      `add .annotate(Operation.Safety, "Idempotent" | "Keyed" | "Unsafe")`
  )
}

/** Reflection leaves streams and upgrades out of an endpoint's successes, so a missing success is one of these. */
const refuseStreams = (id: string, endpoint: HttpApiEndpoint.Top, successes: Schemas): void => {
  const buffered = Array.from(successes.values()).reduce((sum, schemas) => sum + schemas.length, 0)
  if (endpoint.success.size > buffered) {
    throw new Error(`Vendor: ${id} declares a stream or an upgrade, which a guarded call cannot bound`)
  }
}

/** The groups of a contract, as the client exposes them. */
export type Groups<Api> = Api extends HttpApi.HttpApi<infer _Id, infer G extends HttpApiGroup.Constraint> ? G : never
