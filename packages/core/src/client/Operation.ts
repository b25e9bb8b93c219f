/**
 * Annotations for `HttpApiEndpoint.annotate`: safety, cost, policy and checks of an operation, besides its shape.
 *
 * @example
 * ```ts
 * import { Operation, Policy, Vendor } from "@breakwater/core"
 * import { Schema } from "effect"
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 *
 * const Api = HttpApi.make("acme").add(
 *   HttpApiGroup.make("orders").add(
 *     HttpApiEndpoint.post("place", "/orders", { payload: Schema.Struct({ item: Schema.String }) })
 *       .annotate(Operation.Safety, "Keyed")
 *       .annotate(Operation.Cost, 5)
 *       .annotate(Operation.Policy, { ...Policy.write, deadline: "30 seconds" })
 *   )
 * )
 * class Acme extends Vendor.Service<Acme>()({
 *   name: "acme",
 *   api: Api,
 *   baseUrl: "https://api.acme.example",
 *   idempotencyHeader: "Idempotency-Key"
 * }) {}
 * console.log(Acme.declaration.name) // => acme
 * ```
 */
import * as Context from "effect/Context"
import type * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type { Simplify } from "effect/Types"
import type { Reason } from "../Reason.ts"
import type { Safety } from "../Safety.ts"
import type { Policy } from "../stack/Policy.ts"

/** The effect of sending a request twice. @default "Idempotent" for GET and HEAD; every other method must declare it */
class OperationSafety extends Context.Service<OperationSafety, Safety>()("breakwater/client/Operation/Safety") {}

/** Settings that override the vendor's policy. @default none */
class OperationPolicy extends Context.Service<OperationPolicy, Policy>()("breakwater/client/Operation/Policy") {}

export { OperationPolicy as Policy, OperationSafety as Safety }

/** Permits that one call takes from the vendor's quota; at least 0. @default 1 */
export class Cost extends Context.Service<Cost, number>()("breakwater/client/Operation/Cost") {}

/**
 * Decides whether a decoded success can be trusted. It runs after the schemas and before the cache and the breaker. A
 * reason turns the answer into a failure of the vendor. {@link check} declares one with types.
 * @default every success is trusted
 */
export class Check extends Context.Service<Check, (value: unknown, input: object) => Reason | undefined>()(
  "breakwater/client/Operation/Check"
) {}

/**
 * Declares a {@link Check}: `endpoint.pipe(Operation.check((answer, { params }) => …))`. The check gets the decoded
 * success and the caller's input. An exception in it is a defect of that call.
 *
 * @example
 * ```ts
 * import { InvalidResponse, Operation } from "@breakwater/core"
 * import { Schema } from "effect"
 * import { HttpApiEndpoint } from "effect/http-api"
 *
 * // An answer about another currency must be neither trusted nor cached.
 * const rate = HttpApiEndpoint.get("rate", "/rate/:base", {
 *   params: { base: Schema.String },
 *   success: Schema.Struct({ base: Schema.String, rate: Schema.Finite })
 * }).pipe(
 *   Operation.check(({ base }, { params }) =>
 *     base === params.base ? undefined : new InvalidResponse(200, "the answer is about another currency")
 *   )
 * )
 * console.log(rate.identifier) // => rate
 * ```
 */
export const check = <Endpoint extends HttpApiEndpoint.ConstraintRequest & Annotated>(
  decide: (
    value: HttpApiClient.SuccessType<Endpoint["~Success"]>,
    input: InputOf<Endpoint>
  ) => Reason | undefined
) =>
(endpoint: Endpoint): Endpoint => endpoint.annotate(Check, decide as Check["Service"]) as Endpoint

/** The part of an endpoint that `check` needs, besides its types. */
interface Annotated {
  annotate<I, S>(key: Context.Key<I, S>, value: S): unknown
}

/** The input of a call: the parts that its endpoint declares. */
export type InputOf<Endpoint extends HttpApiEndpoint.ConstraintRequest> = Simplify<
  & Part<"params", Endpoint["~Params"]["Type"]>
  & Part<"query", Endpoint["~Query"]["Type"]>
  & Part<"headers", Endpoint["~Headers"]["Type"]>
  & Part<"payload", Endpoint["~Payload"]["Type"]>
>

type Part<Name extends string, Value> = [Value] extends [never] ? {} : { readonly [K in Name]: Value }
