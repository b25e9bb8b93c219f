/** Limits of a request's body: its size, and the time it takes to arrive. What is over the limit is not kept. */
import * as ByteSize from "effect/ByteSize"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Problem from "./Problem.ts"

/** The largest body. */
const largest = ByteSize.mebibytes(1)
/** The longest that a body takes to arrive. */
const longest = Duration.seconds(10)

class BodyRefused extends Data.TaggedError("BodyRefused")<{ readonly because: "TooLarge" | "TooSlow" }> {}

/** Gives a request whose body cannot be read past the limits. A body that nothing reads is not touched. */
export const bounded = <E, R>(
  app: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>
): Effect.Effect<HttpServerResponse.HttpServerResponse, E, R | HttpServerRequest.HttpServerRequest> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    Effect.provideService(
      app,
      HttpServerRequest.HttpServerRequest,
      Object.create(request, { text: { value: textOf(request) } }) as HttpServerRequest.HttpServerRequest
    ))

/** Handlers read the body as text alone: all of them take JSON. */
const textOf = (
  request: HttpServerRequest.HttpServerRequest
): Effect.Effect<string, HttpServerError.HttpServerError | BodyRefused> =>
  Number(request.headers["content-length"] ?? 0) > ByteSize.toNumberUnsafe(largest)
    ? Effect.fail(new BodyRefused({ because: "TooLarge" }))
    : Effect.flatMap(
      // To interrupt it would close the connection, before the response is on it.
      Effect.forkChild(Effect.provideService(request.text, HttpServerRequest.MaxBodySize, largest)),
      (reading) =>
        Effect.timeoutOrElse(Fiber.join(reading), {
          duration: longest,
          orElse: () => Effect.fail(new BodyRefused({ because: "TooSlow" }))
        })
    )

/** The response to a request whose body was refused; `undefined` for another error. */
export const refusalOf = (error: unknown): HttpServerResponse.HttpServerResponse | undefined => {
  const because = error instanceof BodyRefused
    ? error.because
    : HttpServerError.isHttpServerError(error) && error.reason._tag === "RequestParseError" &&
        error.reason.reason === "BodyTooLarge"
    ? "TooLarge"
    : undefined
  if (because === undefined) return undefined
  const [status, body] = because === "TooLarge" ? [413, Problem.tooLarge] : [408, Problem.tooSlow]
  // The rest of the body would still come.
  return HttpServerResponse.jsonUnsafe(body, { status, headers: { connection: "close" } })
}
