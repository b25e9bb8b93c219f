/**
 * The gates of a vendor's clients. Clients that live at the same time, for one vendor at one origin and with one metric
 * registry, share them: two clients that each kept to a limit would send twice as much. A client that would count a limit
 * in another way than its neighbours is refused.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { type Fleet, SharedState } from "../fleet/Fleet.ts"
import * as Order from "../stack/Order.ts"
import type * as Policy from "../stack/Policy.ts"
import type { CompiledOperation } from "./Contract.ts"

/** The gates of one client. */
export interface ClientGates {
  readonly gates: Order.Gates
  readonly ofOperation: ReadonlyMap<string, Order.Gates>
  /** The scope of the gates' own work, which ends with the last client. */
  readonly scope: Scope.Scope
}

/** A gate, or another product of a setting. */
interface Product {
  /** The operation, or `""` for the vendor. */
  readonly place: string
  readonly option: string
  readonly inputs: ReadonlyArray<unknown>
  readonly made: unknown
  users: number
}

/** The gates of the clients that live now. */
interface GateSet {
  /** Gates share their state with the fleet of the first client; a client with another fleet has its own. */
  readonly fleet: Fleet | undefined
  readonly scope: Scope.Closeable
  readonly products: Set<Product>
  readonly clients: Set<ClientGates>
}

const gateSets = new WeakMap<object, Map<string, ReadonlyArray<GateSet>>>()

/** The gates of a client, until its scope closes. Fails with a sentence that says which limit differs, and from what. */
export const make = (
  vendor: string,
  origin: string,
  policy: Policy.Policy,
  operations: ReadonlyArray<CompiledOperation>
): Effect.Effect<ClientGates, string, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.flatMap(Effect.context<never>(), (context) => acquire(context, vendor, origin, policy, operations)),
      ({ release }) => release
    ),
    ({ client }) => client
  )

const acquire = (
  context: Context.Context<never>,
  vendor: string,
  origin: string,
  policy: Policy.Policy,
  operations: ReadonlyArray<CompiledOperation>
) =>
  Effect.suspend(() => {
    const registry = Context.get(context, Metric.MetricRegistry)
    const fleet = Context.get(context, SharedState)
    const name = `${vendor} ${origin}`
    let byName = gateSets.get(registry)
    if (byName === undefined) gateSets.set(registry, byName = new Map())
    const known = byName.get(name) ?? []
    const set = known.find((set) => set.fleet === fleet) ??
      { fleet, scope: Scope.makeUnsafe(), products: new Set(), clients: new Set() }

    const used: Array<Product> = []
    const makeAt = (place: string): Order.Maker => (setting, policy) => {
      const inputs = Order.inputsOf(setting, policy)
      const isSame = (one: Product) =>
        one.place === place && one.option === setting.option && Equal.equals(one.inputs, inputs)
      const product = Array.from(set.products).find(isSame) ??
        { place, option: setting.option, inputs, made: Order.madeOf(setting, policy), users: 0 }
      used.push(product)
      return product.made
    }
    const gates = Order.makeGates(policy, makeAt(""))
    const ofOperation = new Map(
      operations.map(({ id, policy: own }) => [id, Order.overrideGates(gates, policy, own, makeAt(id))] as const)
    )
    const client: ClientGates = { gates, ofOperation, scope: set.scope }
    for (const other of set.clients) {
      const difference = differenceOf(client, other)
      if (difference !== undefined) {
        return Effect.fail(
          `${difference}, at ${origin}: build its layer once, or give both the same policy`
        )
      }
    }

    if (set.clients.size === 0) byName.set(name, [...known, set])
    set.clients.add(client)
    for (const product of used) {
      product.users++
      set.products.add(product)
    }
    const release = Effect.suspend(() => {
      for (const product of used) if (--product.users === 0) set.products.delete(product)
      set.clients.delete(client)
      if (set.clients.size > 0) return Effect.void
      const others = byName.get(name)!.filter((one) => one !== set)
      if (others.length === 0) byName.delete(name)
      else byName.set(name, others)
      return Scope.close(set.scope, Exit.void)
    })
    return Effect.succeed({ client, release })
  })

/** A limit that two clients would count apart, in words. */
const differenceOf = (client: ClientGates, other: ClientGates): string | undefined => {
  for (const [id, gates] of client.ofOperation) {
    const others = other.ofOperation.get(id)
    if (others === undefined) continue
    for (const option of Order.limiting as ReadonlyArray<keyof Order.Gates>) {
      if (gates[option] !== others[option]) return `${id} has another ${option} in a second client`
    }
  }
  return undefined
}
