/**
 * What an endpoint of a contract says about its calls, besides their shape: annotations for `HttpApiEndpoint.annotate`.
 */
import * as Context from "effect/Context"
import type * as SafetyModule from "../Safety.ts"
import type * as PolicyModule from "./Policy.ts"

/** What sending it twice means. @default "Idempotent" for GET and HEAD; every other method must say it */
export class Safety extends Context.Service<Safety, SafetyModule.Safety>()("breakwater/vendor/Operation/Safety") {}

/** Settings laid over the vendor's policy. @default none */
export class Policy extends Context.Service<Policy, PolicyModule.Policy>()("breakwater/vendor/Operation/Policy") {}

/** Permits of the vendor's quota that one call costs. @default 1 */
export class Cost extends Context.Service<Cost, number>()("breakwater/vendor/Operation/Cost") {}
