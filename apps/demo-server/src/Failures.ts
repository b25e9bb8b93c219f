/** Error responses for requests that no handler answers. Each has our own error format, internal errors included. */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { HttpRouter, HttpServerError, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiError } from "effect/http-api"
import * as SchemaIssue from "effect/SchemaIssue"
import type { unhandled } from "effect/Types"
import * as Problem from "./Problem.ts"
import * as RequestDeadline from "./RequestDeadline.ts"

export const layer = HttpRouter.middleware(
  // This handles every error. The router's type of a global middleware demands `unhandled` nevertheless.
  (app): Effect.Effect<HttpServerResponse.HttpServerResponse, unhandled, HttpServerRequest.HttpServerRequest> =>
    app.pipe(RequestDeadline.within, Effect.map(inOurWords), Effect.catchCause(toResponse)),
  { global: true }
)

/** Rewrites a 415, the only error that the router answers itself, and as plain text. */
const inOurWords = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse =>
  response.status === 415
    ? HttpServerResponse.jsonUnsafe(Problem.invalidRequest("content-type", "must be application/json"), { status: 415 })
    : response

const toResponse = (cause: Cause.Cause<unknown>): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  for (const reason of cause.reasons) {
    if (reason._tag === "Interrupt") return Effect.interrupt
    const error = reason._tag === "Fail" ? reason.error : reason.defect
    if (HttpApiError.HttpApiSchemaError.is(error)) return respond(400, misfit(error))
    if (HttpServerError.isHttpServerError(error)) {
      switch (error.reason._tag) {
        case "RouteNotFound":
          return respond(404, Problem.notFound("No such page"))
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

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Names the invalid field and the expected value, never the value that was sent. */
const misfit = (error: HttpApiError.HttpApiSchemaError): typeof Problem.InvalidRequest.Type => {
  const [first] = formatIssues(error.cause.issue).issues
  const path = (first?.path ?? []).map(String)
  return Problem.invalidRequest(path.length === 0 ? "body" : path.join("."), first?.message ?? "is not valid")
}
