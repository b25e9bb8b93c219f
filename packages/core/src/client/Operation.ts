/**
 * What an endpoint of a contract says about its calls, besides their shape: annotations for `HttpApiEndpoint.annotate`.
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
import type * as SafetyModule from "../Safety.ts"
import type * as PolicyModule from "../stack/Policy.ts"

/** What sending it twice means. @default "Idempotent" for GET and HEAD; every other method must say it */
export class Safety extends Context.Service<Safety, SafetyModule.Safety>()("breakwater/client/Operation/Safety") {}

/** Settings laid over the vendor's policy. @default none */
export class Policy extends Context.Service<Policy, PolicyModule.Policy>()("breakwater/client/Operation/Policy") {}

/** Permits of the vendor's quota that one call costs; at least 0. @default 1 */
export class Cost extends Context.Service<Cost, number>()("breakwater/client/Operation/Cost") {}
