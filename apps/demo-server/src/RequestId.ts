/**
 * The id of a request: that of its caller, if it has one of a sane form, else a new one. It is in the response and in each
 * log line that the request causes.
 */
import * as Effect from "effect/Effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomUUID } from "node:crypto"
import { printed } from "./RedactedOutput.ts"

/** The header of the request and of its response. */
export const header = "x-request-id"

export const make = (): string => randomUUID()

/** Gives a request its id. */
export const within = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const id = idOf(headers[header])
    return app.pipe(
      Effect.map((response) => HttpServerResponse.setHeader(response, header, id)),
      Effect.annotateLogs("request", id)
    )
  })

/** An id is repeated only if it can neither break a log line nor is, or looks like, a secret. */
const idOf = (given: string | undefined): string =>
  given !== undefined && /^[A-Za-z0-9][\w.-]{0,63}$/.test(given) && printed(given) === given ? given : make()
