/** The functions derived from an order of gates: they make, override, arrange, explain, show and share the gates. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Gate } from "../../Gate.ts"
import type { Client, Kind, Setting } from "../Kind.ts"
import { over, type Policy } from "../Policy.ts"

/** One gate and its place. The gates of a ring run in the order of their rows, outermost first. */
export interface Row {
  /** `operation`: runs once per call. `attempt`: runs for each of its attempts, inside the retry and the hedge. */
  readonly ring: "operation" | "attempt"
  readonly gate: Kind<string, unknown, Gate>
  /** Whether every request of an attempt passes it, and not only the first. @default false */
  readonly perRequest?: boolean
  /** The reason for its place. */
  readonly because: string
}

export type AnySetting = Setting<string, unknown, unknown>

type MadeOf<S extends { readonly option: string; make(...args: ReadonlyArray<never>): unknown }> = {
  readonly [One in S as One["option"]]: ReturnType<One["make"]> | undefined
}

/** The gates of some rows, and the products of the settings between their rings. */
export type GatesOf<Rows extends ReadonlyArray<Row>, Between extends ReadonlyArray<AnySetting>> =
  & MadeOf<Rows[number]["gate"]>
  & MadeOf<Between[number]>

/** The gates of both rings, in their order. */
export interface Rings {
  readonly operation: ReadonlyArray<Gate>
  readonly attempt: ReadonlyArray<Gate>
  /** The gates of the attempt ring that every request of an attempt passes. */
  readonly request: ReadonlyArray<Gate>
}

/** The place of a gate, in words. */
export interface Explained {
  readonly ring: Row["ring"]
  /** The name of the option, or of your own gate. */
  readonly gate: string
  readonly because: string
}

/** Makes the product of a setting for a policy; `undefined` if the policy leaves it out. */
export type Maker = (setting: AnySetting, policy: Policy) => unknown

/** Everything that is derived from an order of gates. */
export interface Order<Made> {
  /** Makes the gates of a policy. Throws when an option is out of its range. `make` may share a product. */
  readonly makeGates: (policy: Policy, make?: Maker) => Made
  /** The gates of one operation: the vendor's, except those whose settings the operation changed. */
  readonly overrideGates: (shared: Made, vendor: Policy, own: Policy | undefined, make?: Maker) => Made
  /** The options of which two products side by side would allow twice as much. */
  readonly limiting: ReadonlyArray<string>
  /** The gates of both rings as arrays; your own gates come after ours. */
  readonly rings: (gates: Made, policy: Policy) => Rings
  /** The gates of a policy, in their order, each with the reason for its place. */
  readonly explain: (policy: Policy) => ReadonlyArray<Explained>
  /** Shows the gates of a client in the metrics, until its series end. */
  readonly observe: (
    client: Omit<Client, "operations">,
    gates: Made,
    operations: ReadonlyMap<string, Made>,
    now: () => number
  ) => void
  /** Shares the counts of a client's gates with the fleet. Run it before the first call. */
  readonly share: (
    vendor: string,
    gates: Made,
    operations: ReadonlyMap<string, Made>
  ) => Effect.Effect<void, never, Scope.Scope>
}

/** Derives everything from the rows of the gates, and from the settings between their rings. */
export const derive = <const Rows extends ReadonlyArray<Row>, const Between extends ReadonlyArray<AnySetting>>(
  rows: Rows,
  between: Between
): Order<GatesOf<Rows, Between>> => {
  type Made = GatesOf<Rows, Between>
  const settings: ReadonlyArray<AnySetting> = [...rows.map((row) => row.gate), ...between]
  const combined = (made: (setting: AnySetting) => unknown) =>
    Object.fromEntries(settings.map((setting) => [setting.option, made(setting)])) as Made
  const productsOf = (gates: Made) => gates as Readonly<Record<string, object | undefined>>

  const makeGates = (policy: Policy, make = madeOf) => combined((setting) => make(setting, policy))
  const rings = (gates: Made, policy: Policy): Rings => {
    const made = (which: (row: Row) => boolean) =>
      rows.filter(which)
        .map((row) => productsOf(gates)[row.gate.option] as Gate | undefined)
        .filter((gate) => gate !== undefined)
    const ring = (name: Row["ring"]) => made((row) => row.ring === name).concat(policy.gates?.[name] ?? [])
    return { operation: ring("operation"), attempt: ring("attempt"), request: made((row) => row.perRequest === true) }
  }

  /** Each product once, under the name of its first user, with the operations that use it. */
  const placed = (vendor: string, gates: Made, operations: ReadonlyMap<string, Made>) =>
    settings.flatMap((setting) => {
      const places = new Map<object, Placed>()
      const place = (made: object | undefined, name: string): Placed | undefined => {
        if (made !== undefined && !places.has(made)) places.set(made, { setting, made, name, operations: [] })
        return made && places.get(made)
      }
      place(productsOf(gates)[setting.option], vendor)
      for (const [id, own] of operations) place(productsOf(own)[setting.option], `${vendor}/${id}`)?.operations.push(id)
      return [...places.values()]
    })

  return {
    makeGates,
    overrideGates: (shared, vendor, own = {}, make = madeOf) =>
      combined((setting) =>
        isOwn(setting, vendor, own) ? make(setting, over(vendor, own)) : productsOf(shared)[setting.option]
      ),
    limiting: settings.filter(({ isLimit = false }) => isLimit).map(({ option }) => option),
    rings,
    explain: (policy) => {
      const gates = productsOf(makeGates(policy))
      return (["operation", "attempt"] as const).flatMap((ring): ReadonlyArray<Explained> => [
        ...rows.filter((row) => row.ring === ring && gates[row.gate.option] !== undefined)
          .map(({ because, gate }) => ({ ring, gate: gate.option, because })),
        ...(policy.gates?.[ring] ?? []).map(({ name }) => ({
          ring,
          gate: name,
          because: "a gate of your own, after ours"
        }))
      ])
    },
    observe: ({ context, series, vendor }, gates, operations, now) => {
      for (const { made, operations: ids, setting } of placed(vendor, gates, operations)) {
        for (const gauge of setting.gauges ?? []) {
          const { metric } = gauge
          const labels = metric.labels.includes("operation")
            ? ids.map((operation) => [{ vendor, operation }, `${vendor}/${operation}`] as const)
            : [[{ vendor }, vendor] as const]
          for (const [own, scope] of labels) series.observe(metric, own, made, () => gauge.read(made, scope, now()))
        }
        setting.watch?.(made, { vendor, operations: ids, series, context })
      }
    },
    share: (vendor, gates, operations) =>
      Effect.forEach(
        placed(vendor, gates, operations),
        // A gate that no operation uses has nothing to share.
        ({ made, name, operations, setting }) =>
          operations.length === 0 ? Effect.void : setting.share?.(made, name) ?? Effect.void,
        { discard: true }
      )
  }
}

interface Placed {
  readonly setting: AnySetting
  readonly made: object
  readonly name: string
  readonly operations: Array<string>
}

const optionOf = (setting: AnySetting, policy: Policy): unknown =>
  policy[setting.option as keyof Policy] ?? setting.fallback(policy)

export const madeOf: Maker = (setting, policy) => {
  const option = optionOf(setting, policy)
  if (option === false) return undefined
  return setting.isMade(option) ? option : setting.make(option, policy)
}

/** Everything of a policy that a product is made from. */
export const inputsOf = (setting: AnySetting, policy: Policy): ReadonlyArray<unknown> => [
  optionOf(setting, policy),
  ...(setting.dependsOn?.make ?? []).map((name) => policy[name])
]

const isOwn = ({ dependsOn = {}, option, perOperation = false }: AnySetting, vendor: Policy, own: Policy): boolean => {
  const isChanged = (name: string) => own[name as keyof Policy] !== undefined
  return perOperation || isChanged(option) || (dependsOn.make ?? []).some(isChanged) ||
    (vendor[option as keyof Policy] === undefined && (dependsOn.fallback ?? []).some(isChanged))
}
