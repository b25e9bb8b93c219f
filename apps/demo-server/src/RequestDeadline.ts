/** How long a request may take: what its caller says that it waits, and never longer than we let any request take. */
import { Deadline } from "@breakwater/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Problem from "./Problem.ts"

/** The longest a request may take, in seconds. */
const longest = 25

/**
 * The calls that are made for a request inherit what is left of its time. `Request-Timeout` says in seconds how long the
 * caller waits; it is our own header, there is no registered one.
 */
export const within = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const seconds = secondsOf(headers["request-timeout"])
    return seconds === undefined
      ? Effect.succeed(HttpServerResponse.jsonUnsafe(misfit, { status: 400 }))
      : Deadline.within(Duration.seconds(seconds))(app)
  })

const misfit = Problem.invalidRequest("request-timeout", "must be a number of seconds above 0")

const secondsOf = (header: string | undefined): number | undefined => {
  if (header === undefined) return longest
  const seconds = /^\d{1,9}(?:\.\d{1,9})?$/.test(header) ? Number(header) : 0
  return seconds > 0 ? Math.min(seconds, longest) : undefined
}
