/**
 * Everything around the routes of a server: ids and limits of requests, and our own error format for each request that no
 * handler answers, internal errors included.
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiError } from "effect/http-api"
import type { unhandled } from "effect/Types"
import type { Methods } from "./Methods.ts"
import * as Misfit from "./Misfit.ts"
import * as Problem from "./Problem.ts"
import * as RequestBody from "./RequestBody.ts"
import * as RequestDeadline from "./RequestDeadline.ts"
import * as RequestId from "./RequestId.ts"

/** What a server answers outside of its routes. */
export interface Options {
  readonly methods: Methods
  /** Refuses a request with 403 before its route is found. @default no request */
  readonly refusalOf?: (request: HttpServerRequest.HttpServerRequest) => typeof Problem.Forbidden.Type | undefined
}

export const layer = ({ methods, refusalOf = () => undefined }: Options) =>
  HttpRouter.middleware(
    // This handles every error. The router's type of a global middleware demands `unhandled` nevertheless.
    (app): Effect.Effect<HttpServerResponse.HttpServerResponse, unhandled, HttpServerRequest.HttpServerRequest> =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const refusal = refusalOf(request)
        return refusal === undefined
          ? app.pipe(
            RequestBody.bounded,
            RequestDeadline.within,
            Effect.map(inOurWords),
            Effect.catchCause((cause) => toResponse(cause, request, methods))
          )
          : respond(403, refusal)
      }).pipe(RequestId.within),
    { global: true }
  )

/** Rewrites a 415, the only error that the router answers itself, and as plain text. */
const inOurWords = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
  response.status === 415
    ? HttpServerResponse.jsonUnsafe(Problem.invalidRequest("content-type", "must be application/json"), { status: 415 })
    : response

const toResponse = (
  cause: Cause.Cause<unknown>,
  { method, url }: HttpServerRequest.HttpServerRequest,
  methods: Methods
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Interrupt") return Effect.interrupt
    const error = reason._tag === "Fail" ? reason.error : reason.defect
    const refusal = RequestBody.refusalOf(error)
    if (refusal !== undefined) return Effect.succeed(refusal)
    if (HttpApiError.HttpApiSchemaError.is(error)) return respond(400, Misfit.problemOf(error))
    if (HttpServerError.isHttpServerError(error)) {
      switch (error.reason._tag) {
        case "RouteNotFound": {
          const response = methods(method, url)
          return response === undefined ? respond(404, Problem.notFound("No such page")) : Effect.succeed(response)
        }
        case "RequestParseError":
          return respond(400, Problem.invalidRequest("body", "cannot be read"))
        case "InternalError":
        case "ResponseError":
          break
      }
    }
  }
  return Effect.andThen(Effect.logError("a request failed", cause), respond(500, Problem.internal))
}

const respond = (status: number, body: unknown) => Effect.succeed(HttpServerResponse.jsonUnsafe(body, { status }))
