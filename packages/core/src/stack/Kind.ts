/**
 * The description of one setting of a policy, for the tables of `Order`: its option and product, its dependencies, its
 * gauges and its sharing with a fleet. A setting whose product is a gate is a {@link Kind}.
 */
import type * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Gate } from "../Gate.ts"
import type { Metric, Reading, Series } from "../Telemetry.ts"
import type { Policy } from "./Policy.ts"

/** A number or a state that is read on each export. */
export interface Gauge<Made> {
  /**
   * Its row in the table of metrics. It is shown per operation if the row has the label `operation`, else per vendor.
   */
  readonly metric: Metric
  /** Reads it for a scope: `vendor`, or `vendor/operation`. */
  read(made: Made, scope: string, now: number): Reading
}

/** The client that a gate belongs to. */
export interface Client {
  readonly vendor: string
  /** The operations that use the gate. */
  readonly operations: ReadonlyArray<string>
  readonly series: Series
  readonly context: Context.Context<never>
}

/** One option of a policy, and its product. */
export interface Setting<Name extends string, Options, Made> {
  /** The option's name in a `Policy`. */
  readonly option: Name
  /** Its default, in words for a reader. */
  readonly byDefault: string
  /** The option when the policy leaves it out; `false` for nothing. */
  fallback(policy: Policy): Options | false
  /** Whether the option is a product made elsewhere instead of options. */
  isMade(option: unknown): boolean
  make(options: Options, policy: Policy): Made
  /** The other options that `make` and `fallback` read; an operation that changes one gets its own product. */
  readonly dependsOn?: {
    readonly make?: ReadonlyArray<keyof Policy>
    /** These matter only if the vendor's policy leaves the option out. */
    readonly fallback?: ReadonlyArray<keyof Policy>
  }
  /** Whether every operation has its own product. @default false */
  readonly perOperation?: boolean
  /** Whether two products side by side allow the vendor's calls twice as much. @default false */
  readonly isLimit?: boolean
  /** Its gauges. @default none */
  readonly gauges?: ReadonlyArray<Gauge<Made>>
  /** Reports its events, until the client's series end. @default nothing */
  watch?(made: Made, client: Client): void
  /** Shares its counts with the other processes of a fleet, under a name. @default each process counts for itself */
  share?(made: Made, name: string): Effect.Effect<void, never, Scope.Scope>
}

/** A setting whose product is a gate. */
export interface Kind<Name extends string, Options, G extends Gate> extends Setting<Name, Options, G> {
  /** The default partition of its counts, in words for a reader. */
  readonly per: string
}

/** The options of a setting, without a product made elsewhere and without `false`. */
export type OptionsOf<Name extends keyof Policy, Made> = Exclude<NonNullable<Policy[Name]>, Made | false>
