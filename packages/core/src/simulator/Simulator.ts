/**
 * A simulated vendor for development and tests: the contract of its declaration, served over a real socket on this
 * machine. It has state and refusals like the vendor's, and faults on demand. Tests hold it to the vendor's official
 * client library and published specification.
 *
 * @example
 * ```ts
 * import { Vendor } from "@breakwater/core"
 * import { Simulator } from "@breakwater/core/simulator"
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import { Effect, Schema } from "effect"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 *
 * const Api = HttpApi.make("acme").add(
 *   HttpApiGroup.make("bells", { topLevel: true }).add(HttpApiEndpoint.get("ring", "/ring", { success: Schema.String }))
 * )
 * const handlers = HttpApiBuilder.group(Api, "bells", (bells) => bells.handle("ring", () => Effect.succeed("ding")))
 *
 * const program = Effect.gen(function*() {
 *   const simulator = yield* Simulator.serve({
 *     vendor: "acme",
 *     api: Api,
 *     handlers,
 *     front: (_request, next) => Effect.catch(next, () => Effect.succeed(Simulator.json(404, {})))
 *   })
 *   const acme = yield* Vendor.make({ name: "acme", api: Api, baseUrl: simulator.baseUrl })
 *   yield* simulator.setFault({ kind: "resetBefore", times: 1 })
 *   console.log(yield* acme.ring(), simulator.journal.count) // => ding 2
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(UndiciTransport.layer({ loopback: true }))))
 * ```
 */
import * as Effect from "effect/Effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as HttpApiError from "effect/http-api/HttpApiError"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerError from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Scope from "effect/Scope"
import * as Contract from "../client/Contract.ts"
import { type Fault, Faults } from "./Simulator/Fault.ts"
import { Journal } from "./Simulator/Journal.ts"
import * as SimulatorServer from "./Simulator/SimulatorServer.ts"

export { Fault, seededRandom } from "./Simulator/Fault.ts"
export type { JournalEntry } from "./Simulator/Journal.ts"
export type { WireRequest, WireResponse } from "./Simulator/SimulatorServer.ts"

/** Why no endpoint of the contract has responded. */
export type Unserved =
  /** No endpoint has this method and path. */
  | { readonly _tag: "NoEndpoint" }
  /** The request does not fit the endpoint's schemas; `field` is the first invalid field, as a dotted path. */
  | { readonly _tag: "Misfit"; readonly field: string; readonly issue: string }
  /** The endpoint died, perhaps after it had taken effect. */
  | { readonly _tag: "Broken" }

/** The vendor's checks in front of its endpoints: authentication, idempotency, and the form of its errors. */
export type Front = (
  request: SimulatorServer.WireRequest,
  next: Effect.Effect<SimulatorServer.WireResponse, Unserved>
) => Effect.Effect<SimulatorServer.WireResponse>

export interface SimulatorOptions<Id extends string, Groups extends HttpApiGroup.Constraint> {
  /** The vendor's name, as in its declaration. */
  readonly vendor: string
  readonly api: HttpApi.HttpApi<Id, Groups>
  /** The endpoints, as `HttpApiBuilder.group` makes them. */
  readonly handlers: Layer.Layer<HttpApiGroup.ToService<Id, Groups>>
  readonly front: Front
  /** The vendor's response once its rate limit is reached. @default 429 and a message */
  readonly limited?: SimulatorServer.WireResponse | undefined
  /** The path of the vendor's base URL. @default "" */
  readonly basePath?: string | undefined
  /** The port to listen at, from 0 to 65535. @default 0, for any free one */
  readonly port?: number | undefined
  /** The seed of random faults; only its lowest 32 bits count. @default 1 */
  readonly seed?: number | undefined
}

export interface Simulator {
  readonly vendor: string
  /** The base URL for the vendor's declaration. */
  readonly baseUrl: string
  readonly journal: Journal
  /** The operations of the contract, which a fault can name. */
  readonly operations: ReadonlyArray<string>
  /** The fault that is set now. */
  readonly fault: Effect.Effect<Fault | undefined>
  /** Replaces the fault; `undefined` clears it. Dies when the contract has no such operation. */
  readonly setFault: (fault: Fault | undefined) => Effect.Effect<void>
}

/** Serves a simulator until the scope ends. */
export const serve = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  options: SimulatorOptions<Id, Groups>
): Effect.Effect<Simulator, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { basePath = "", vendor } = options
    const faults = new Faults(options.seed ?? 1)
    const journal = new Journal()
    const endpoints = yield* endpointsOf(options)
    const compiled = Contract.compile(options.api as unknown as HttpApi.Top)
    const operations = compiled.map(({ id }) => id)
    const wire = yield* SimulatorServer.serve({
      port: options.port ?? 0,
      faults,
      journal,
      operationOf: matcher(compiled, basePath),
      // A slow endpoint still takes the request first: while it waits, the idempotency key is in use and the caller
      // known.
      handle: (request, delayMillis) => {
        const inside = withoutBase(request, basePath)
        const served = inside === undefined ? Effect.fail<Unserved>({ _tag: "NoEndpoint" }) : endpoints(inside)
        return options.front(request, delayMillis === 0 ? served : Effect.delay(served, delayMillis))
      },
      limited: options.limited ?? json(429, { message: "Too many requests" })
    })
    return {
      vendor,
      baseUrl: `http://127.0.0.1:${wire.port}${basePath}`,
      journal,
      operations,
      fault: Effect.sync(() => faults.active),
      setFault: (fault) =>
        Effect.suspend(() => {
          const operation = fault?.operation
          if (operation !== undefined && !operations.includes(operation)) {
            return Effect.die(
              new TypeError(`${vendor} has no operation ${operation}; its operations are ${operations.join(", ")}`)
            )
          }
          faults.set(fault)
          return fault?.kind === "refuse" ? wire.refuse : wire.listen
        })
    }
  })

/** A response with a JSON body. */
export const json = (
  status: number,
  body: unknown,
  headers?: Readonly<Record<string, string>>
): SimulatorServer.WireResponse => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: Buffer.from(JSON.stringify(body))
})

/** The request, relative to the vendor's base URL; `undefined` for a request outside of it. */
const withoutBase = (request: SimulatorServer.WireRequest, basePath: string): SimulatorServer.WireRequest | undefined =>
  request.path.startsWith(`${basePath}/`) ? { ...request, path: request.path.slice(basePath.length) } : undefined

/** The contract's endpoints as a function of a request. */
const endpointsOf = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  { api, handlers }: SimulatorOptions<Id, Groups>
): Effect.Effect<
  (request: SimulatorServer.WireRequest) => Effect.Effect<SimulatorServer.WireResponse, Unserved>,
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const routes = HttpApiBuilder.layer(api).pipe(Layer.provide(handlers), Layer.provide(HttpServer.layerServices))
    // While the contract is a type parameter, the router's requirements do not reduce; none are left.
    // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- without it the requirements are inferred as unknown
    const app = yield* HttpRouter.toHttpEffect(routes as Layer.Layer<never, never, HttpRouter.HttpRouter>)
    return (request) => {
      const web = new Request(`http://127.0.0.1${request.path}${request.search}`, {
        method: request.method,
        headers: request.headers,
        body: request.body.byteLength === 0 || request.method === "GET" || request.method === "HEAD"
          ? null
          : request.body
      })
      return app.pipe(
        Effect.provideService(HttpServerRequest.HttpServerRequest, HttpServerRequest.fromWeb(web)),
        Effect.scoped,
        Effect.flatMap(toWire),
        Effect.catchCause((cause) => {
          for (const reason of cause.reasons) {
            const error = reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
            if (HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound") {
              return Effect.fail<Unserved>({ _tag: "NoEndpoint" })
            }
            if (HttpApiError.HttpApiSchemaError.is(error)) return Effect.fail(misfit(error))
          }
          return Effect.andThen(
            Effect.logDebug("a simulated endpoint died", cause),
            Effect.fail<Unserved>({ _tag: "Broken" })
          )
        })
      )
    }
  })

const toWire = (response: HttpServerResponse.HttpServerResponse): Effect.Effect<SimulatorServer.WireResponse> =>
  Effect.gen(function*() {
    const web = HttpServerResponse.toWeb(response)
    return {
      status: web.status,
      headers: Object.fromEntries(web.headers),
      body: new Uint8Array(yield* Effect.promise(() => web.arrayBuffer()))
    }
  })

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

const misfit = (error: HttpApiError.HttpApiSchemaError): Unserved => {
  const [first] = formatIssues(error.cause.issue).issues
  return { _tag: "Misfit", field: (first?.path ?? []).map(String).join("."), issue: first?.message ?? "" }
}

/** Finds the operation of a request by the contract's templates. */
const matcher = (compiled: ReturnType<typeof Contract.compile>, basePath: string) => {
  const operations = compiled.map(({ id, method, template }) => ({
    id,
    method,
    pattern: new RegExp(`^${basePath}${template.replaceAll(/:\w+/g, "[^/]+")}$`)
  }))
  return (request: SimulatorServer.WireRequest): string | undefined =>
    operations.find(({ method, pattern }) => method === request.method && pattern.test(request.path))?.id
}
