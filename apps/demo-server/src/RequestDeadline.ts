/** Deadline of a request: the time that its caller states, up to a maximum. */
import { Deadline } from "@breakwater/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Problem from "./Problem.ts"

/** The longest a request may take, in seconds. */
const longest = 25

/**
 * All calls made for a request inherit its remaining time. `Request-Timeout` is the time in seconds that the caller waits.
 * The header is our own, because no registered one exists.
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
