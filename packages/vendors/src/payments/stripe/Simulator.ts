/**
 * Simulator of Stripe. Intents are created, held, captured, canceled and refunded. The name of a card decides whether it
 * is declined, and idempotency keys work as Stripe's do. It accepts any secret key that begins with `sk_` or `rk_`.
 */
import { Simulator } from "@breakwater/core/simulator"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { StripeApi } from "./Api.ts"
import { Books } from "./Simulator/Books.ts"
import { endpoints } from "./Simulator/Endpoints.ts"
import { Idempotency } from "./Simulator/Idempotency.ts"

export interface StripeSimulator extends Simulator.Simulator {
  /** The intents, charges and refunds of the simulated account. */
  readonly books: Books
}

/** Serves Stripe's API until the scope ends. */
export const serve = (
  options?: { readonly port?: number; readonly seed?: number }
): Effect.Effect<StripeSimulator, never, Scope.Scope> =>
  Effect.suspend(() => {
    const books = new Books(options?.seed ?? 1)
    return Effect.map(
      Simulator.serve({
        vendor: "stripe",
        api: StripeApi,
        handlers: endpoints(books),
        front: front(books),
        limited,
        ...options
      }),
      (simulator) => ({ ...simulator, books })
    )
  })

const front = (books: Books): Simulator.Front => {
  const idempotency = new Idempotency()
  return (request, next) => {
    const requestId = books.id("req")
    const answer = isAuthorized(request)
      ? idempotency.run(request, requestId, executed(next))
      : Effect.succeed(unauthorized(request))
    return Effect.map(answer, (response) => ({
      ...response,
      headers: {
        "request-id": requestId,
        "stripe-version": request.headers["stripe-version"] ?? "2026-10-28.endive",
        ...response.headers
      }
    }))
  }
}

/** A request that reached no endpoint leaves its key unused. */
const executed = (next: Effect.Effect<Simulator.WireResponse, Simulator.Unserved>) =>
  next.pipe(
    Effect.map((response) => ({ response, isKept: true })),
    Effect.catch((unserved) =>
      Effect.succeed({ response: unservedResponse(unserved), isKept: unserved._tag === "Broken" })
    )
  )

/** `Bearer sk_…`, or the key as the user name of Basic. */
const isAuthorized = ({ headers }: Simulator.WireRequest): boolean => {
  const [scheme, value = ""] = (headers["authorization"] ?? "").split(" ")
  const key = scheme?.toLowerCase() === "basic" ? Buffer.from(value, "base64").toString("utf8") : value
  return /^(?:sk|rk)_\w+:?$/.test(key)
}

const unauthorized = ({ headers }: Simulator.WireRequest): Simulator.WireResponse =>
  problem(401, {
    type: "invalid_request_error",
    message: headers["authorization"] === undefined ? "You did not provide an API key." : "Invalid API Key provided."
  })

const unservedResponse = (unserved: Simulator.Unserved): Simulator.WireResponse => {
  switch (unserved._tag) {
    case "NoEndpoint":
      return problem(404, { type: "invalid_request_error", message: "Unrecognized request URL." })
    case "Misfit":
      return problem(400, {
        type: "invalid_request_error",
        ...(unserved.issue.startsWith("Missing") ? { code: "parameter_missing" } : {}),
        message: `Invalid ${unserved.field}`,
        param: unserved.field.replaceAll(/\.(\w+)/g, "[$1]")
      })
    case "Broken":
      return problem(500, { type: "api_error", message: "An unknown error occurred." })
  }
}

const problem = (status: number, error: object, headers?: Readonly<Record<string, string>>): Simulator.WireResponse =>
  Simulator.json(status, { error }, headers)

/** https://docs.stripe.com/rate-limits */
const limited = problem(
  429,
  { type: "invalid_request_error", code: "rate_limit", message: "Request rate limit exceeded." },
  { "stripe-rate-limited-reason": "global-rate" }
)
