/**
 * A vendor, declared once: contract, base URL, authentication, API version and policies. The declaration yields the
 * client; the simulator is served from the same contract.
 *
 * @example
 * ```ts
 * import { Vendor } from "@breakwater/core"
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import { Effect, Layer, Schema } from "effect"
 * import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 *
 * const Api = HttpApi.make("frankfurter").add(
 *   HttpApiGroup.make("rates").add(
 *     HttpApiEndpoint.get("latest", "/rate/EUR/USD", { success: Schema.Struct({ rate: Schema.Finite }) })
 *   )
 * )
 * class Frankfurter extends Vendor.Service<Frankfurter>()({
 *   name: "frankfurter",
 *   api: Api,
 *   baseUrl: "https://api.frankfurter.dev/v2"
 * }) {}
 *
 * const latest = Effect.flatMap(Frankfurter, ({ rates }) => rates.latest())
 * const layer = Frankfurter.layer.pipe(Layer.provide(UndiciTransport.layer({ loopback: true })))
 * console.log(await Effect.runPromise(Effect.provide(latest, layer))) // => { rate: 1.0842 }
 * ```
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as HttpApi from "effect/http-api/HttpApi"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { Statistics } from "../caching/ResponseCache.ts"
import { environmentName, upperSnake } from "../credentials/Credential.ts"
import * as Fleet from "../fleet/Fleet.ts"
import * as Range from "../Range.ts"
import * as Order from "../stack/Order.ts"
import * as Policy from "../stack/Policy.ts"
import * as Stack from "../stack/Stack.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Timeline from "../Timeline.ts"
import * as BasicAuth from "../transport/BasicAuth.ts"
import * as HttpUrl from "../transport/HttpUrl.ts"
import { Transport } from "../transport/Transport.ts"
import { Accounts } from "./Accounts.ts"
import { CachedOperation, type Setting } from "./CachedOperation.ts"
import * as Client from "./Client.ts"
import * as Contract from "./Contract.ts"
import type { Declaration } from "./Declaration.ts"
import * as Secrets from "./Secrets.ts"
import * as SharedGates from "./SharedGates.ts"

/** Invalid settings of a vendor. */
export class VendorMisconfigured extends Data.TaggedError("VendorMisconfigured")<{
  readonly vendor: string
  readonly message: string
}> {}

/** Policies per operation (`group.name`, or the name alone) that override the declaration; meant for operators. */
export type Overrides = Readonly<Record<string, Policy.Policy>>

/**
 * Makes the client of a vendor. Reads `<NAME>_BASE_URL`, and checks that the required credentials exist. Throws if the
 * declaration contradicts itself.
 *
 * The client's calls use what it is made with: transport, `Credentials`, `ConfigProvider`, metric registry, and the
 * stores of a fleet. Clock, random numbers, logger, tracer, deadline, priority and idempotency key are the caller's.
 * Clients that live at the same time, with one metric registry, share their gates; a client with another limit than its
 * neighbours at the same origin fails as misconfigured.
 */
export const make = <Api extends HttpApi.Constraint>(
  declaration: Declaration<Api>,
  overrides: Overrides = {}
): Effect.Effect<Client.Client<Api>, Config.ConfigError | VendorMisconfigured, Transport | Scope.Scope> => {
  const operations = override(
    declaration.name,
    Contract.compile(declaration.api as unknown as HttpApi.Top),
    overrides
  )
  const { auth, name, policy = Policy.read, requiredKeys = [""] } = declaration
  const refusedMillis = Range.duration(`Vendor ${name}: refusedFor`, declaration.refusedFor ?? Duration.seconds(30))
  for (const operation of operations) {
    if (operation.safety === "Keyed" && declaration.idempotencyHeader === undefined) {
      throw new Error(`Vendor ${name}: ${operation.id} is Keyed, but the vendor declares no idempotencyHeader`)
    }
    const own = Policy.over(policy, operation.policy)
    Policy.limits(own)
    const capacity = Order.capacityOf(own)
    if (operation.cost > capacity) {
      throw new Error(
        `Vendor ${name}: ${operation.id} costs ${operation.cost}, and its rate limit never has more than ${capacity} permits; ` +
          `lower Operation.Cost, or raise the limit or the burst`
      )
    }
    if (operation.policy?.cache && operation.safety !== "Idempotent") {
      throw new Error(`Vendor ${name}: ${operation.id} is ${operation.safety}, its answers cannot be cached`)
    }
    if (operation.policy?.cache && writes.has(operation.method)) {
      throw new Error(
        `Vendor ${name}: ${operation.id} is a ${operation.method}, which must reach the vendor every time`
      )
    }
  }
  if (auth?._tag === "Basic" && !BasicAuth.isUser(auth.user)) {
    throw new Error(`Vendor ${name}: the user of auth must have no colon and no control character`)
  }
  const redirects = Range.whole(`Vendor ${name}: redirects`, declaration.redirects ?? 0, 0)
  if (redirects > 10) throw new Error(`Vendor ${name}: redirects must be at most 10, got ${redirects}`)
  return Effect.gen(function*() {
    const transport = yield* Transport
    const baseUrl = yield* baseUrlOf(declaration, transport)
    const misconfigured = (message: string) => new VendorMisconfigured({ vendor: name, message })
    if (auth !== undefined) yield* Effect.mapError(Secrets.check(name, auth, requiredKeys), misconfigured)
    const context = yield* Effect.context<never>()
    const timeline = yield* Effect.withFiber((fiber) => Effect.succeed(Timeline.of(fiber)))
    const series = yield* Telemetry.series
    const { gates, ofOperation: gatesOf, scope } = yield* Effect.mapError(
      SharedGates.make(name, baseUrl.origin, policy, operations),
      misconfigured
    )
    const secrets = auth && (yield* makeSecrets(name, refusedMillis, series))
    const accounts = secrets && new Accounts(name, secrets)
    const caches = yield* makeCaches({ vendor: name, baseUrl, accounts }, policy, operations, series)

    const methods = operations.map((operation) => {
      const own = Policy.over(policy, operation.policy)
      const operationGates = gatesOf.get(operation.id)!
      const rings = Order.rings(operationGates, own)
      const stack = Stack.make({
        vendor: name,
        operation: operation.id,
        safety: operation.safety,
        policy: own,
        gates: operationGates,
        meter: series.meter({
          vendor: name,
          operation: operation.id,
          method: operation.method,
          address: baseUrl.hostname,
          port: HttpUrl.portOf(baseUrl)
        }, {
          gates: [...rings.operation, ...rings.attempt].map((gate) => gate.name),
          hedged: Order.hedgeFor(operation.safety, operationGates) !== undefined
        }),
        spanName: `${operation.method} ${operation.template}`,
        spanAttributes: {
          "http.request.method": operation.method,
          "url.scheme": baseUrl.protocol.slice(0, -1),
          "url.template": operation.template,
          "server.address": baseUrl.hostname,
          "server.port": HttpUrl.portOf(baseUrl),
          "breakwater.vendor": name,
          "breakwater.operation": operation.id
        }
      })
      return {
        operation,
        call: Client.makeMethod({
          declaration,
          operation,
          stack,
          transport,
          baseUrl,
          own,
          secrets,
          cached: caches.get(operation.id)
        })
      }
    })
    yield* Scope.provide(Fleet.ofOrigin(baseUrl.origin)(Order.share(name, gates, gatesOf)), scope)
    Order.observe({ vendor: name, series, context }, gates, gatesOf, () => timeline.now())
    const client = Client.assemble<Api>(methods)
    cachesOf.set(client as object, caches)
    return client
  })
}

/** Methods that change something (RFC 9110, section 9.3). A POST may be a search: its operation says so. */
const writes: ReadonlySet<string> = new Set(["PUT", "PATCH", "DELETE"])

const isRead = ({ method }: Contract.CompiledOperation): boolean => method === "GET" || method === "HEAD"

const override = (
  vendor: string,
  operations: ReadonlyArray<Contract.CompiledOperation>,
  overrides: Overrides
): ReadonlyArray<Contract.CompiledOperation> => {
  const unknown = Object.keys(overrides).find((id) => !operations.some((operation) => operation.id === id))
  if (unknown !== undefined) throw new Error(`Vendor ${vendor}: there is no operation ${unknown}`)
  return operations.map((operation) => {
    const over = overrides[operation.id]
    return over === undefined ? operation : { ...operation, policy: Policy.over(operation.policy ?? {}, over) }
  })
}

/** The caches of a client. */
export interface Caches {
  /** The statistics of an operation's cache; `undefined` if it has none. */
  statistics(operation: string): Statistics | undefined
  /** Removes every entry with this tag. */
  invalidateTag(tag: string): void
  /** Removes every entry. */
  clear(): void
}

const { metrics } = Telemetry

const cachesOf = new WeakMap<object, ReadonlyMap<string, CachedOperation>>()

/** The caches of a client; empty if none of its operations has a cache. */
export const caches = (client: object): Caches => {
  const known = cachesOf.get(client) ?? new Map<string, CachedOperation>()
  return {
    statistics: (operation) => known.get(operation)?.cache.statistics,
    invalidateTag(tag) {
      for (const { cache, options } of known.values()) {
        // The others' answers have none, and would have to be fetched again by the whole fleet.
        if (options.tags !== undefined) cache.invalidateTag(tag)
      }
    },
    clear() {
      for (const { cache } of known.values()) cache.clear()
    }
  }
}

const makeCaches = (
  client: Omit<Setting, "deadlineMillis">,
  policy: Policy.Policy,
  operations: ReadonlyArray<Contract.CompiledOperation>,
  series: Telemetry.Series
): Effect.Effect<ReadonlyMap<string, CachedOperation>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const caches = new Map<string, CachedOperation>()
    for (const operation of operations) {
      const { id, policy: own, safety } = operation
      // A vendor's own setting is for reads: a write that is answered from a cache never reaches the vendor.
      const options = own?.cache ?? (isRead(operation) ? policy.cache : undefined)
      if (!options || safety !== "Idempotent") continue
      const { deadlineMillis } = Policy.limits(Policy.over(policy, own ?? {}))
      const cached = yield* CachedOperation.make(options, { ...client, deadlineMillis }, operation)
      caches.set(id, cached)
      const labels = { vendor: client.vendor, operation: id }
      const statistics = () => cached.cache.statistics
      const show = (metric: Telemetry.Metric, read: (statistics: Statistics) => number, more?: Telemetry.Labels) =>
        series.observe(metric, { ...labels, ...more }, cached, () => read(statistics()))
      for (const result of metrics.cacheLookups.values.result) {
        show(metrics.cacheLookups, (seen) => seen[result], { result })
      }
      show(metrics.cacheEvictions, (seen) => seen.evictions)
      show(metrics.cacheBypassed, (seen) => seen.bypassed)
      show(metrics.cacheEntries, (seen) => seen.entries)
      show(metrics.cacheBytes, (seen) => seen.bytes)
    }
    return caches
  })

/** The environment's base URL, or the declared one. Fails for one that the transport rules out. */
const baseUrlOf = (
  declaration: Declaration<HttpApi.Constraint>,
  { refusal }: Transport["Service"]
): Effect.Effect<URL, Config.ConfigError | VendorMisconfigured> =>
  Effect.gen(function*() {
    const variable = `${upperSnake(declaration.name)}_BASE_URL`
    const misconfigured = (message: string) =>
      new VendorMisconfigured({ vendor: declaration.name, message: `${variable}${message}` })
    const url = URL.parse(yield* Config.withDefault(Config.String(variable), declaration.baseUrl))
    if (url === null) return yield* misconfigured(` must be a whole URL, such as ${declaration.baseUrl}`)
    const refused = refusal?.(url)
    if (refused !== undefined) return yield* misconfigured(`: ${refused}`)
    const flaw = HttpUrl.flawOf(url, refusal === undefined ? undefined : () => true)
    if (flaw === undefined) return url
    const mend = flaw === "UserInfo" ? `; the secret is ${environmentName({ vendor: declaration.name, key: "" })}` : ""
    return yield* misconfigured(` ${HttpUrl.flaws[flaw]}${mend}`)
  })

const makeSecrets = (
  vendor: string,
  refusedMillis: number,
  series: Telemetry.Series
): Effect.Effect<Secrets.Secrets> =>
  Effect.map(
    Secrets.make(series.counter(Telemetry.credentialRefusals, { vendor }), refusedMillis),
    (secrets) => {
      series.observe(metrics.credentialDead, { vendor }, secrets, () => secrets.refusals.dead)
      return secrets
    }
  )

/** A vendor as a service: `class Stripe extends Vendor.Service<Stripe>()({ … }) {}`. */
export const Service = <Self>() =>
<Api extends HttpApi.Constraint>(
  declaration: Declaration<Api>
): ServiceClass<Self, Api> => {
  const Base = Context.Service<Self, Client.Client<Api>>()(`breakwater/vendor/${declaration.name}`)
  return Object.assign(Base, {
    declaration,
    layer: Layer.effect(Base, make(declaration)),
    layerWith: (overrides: Overrides) => Layer.effect(Base, make(declaration, overrides))
  }) as ServiceClass<Self, Api>
}

export interface ServiceClass<Self, Api extends HttpApi.Constraint>
  extends Context.ServiceClass<Self, string, Client.Client<Api>>
{
  readonly declaration: Declaration<Api>
  /** The client, over the transport in its context. */
  readonly layer: Layer.Layer<Self, Config.ConfigError | VendorMisconfigured, Transport>
  /** The same, with overridden policies. Throws if an operation does not exist. */
  layerWith(overrides: Overrides): Layer.Layer<Self, Config.ConfigError | VendorMisconfigured, Transport>
}
