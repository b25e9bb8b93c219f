/**
 * Names into addresses that may be connected to. Every address that a name has is checked, and one that is forbidden
 * refuses the name: an answer of good and bad addresses is how DNS rebinding looks. What was checked is what is connected
 * to; between the two nobody asks again.
 */
import * as Cache from "effect/Cache"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { lookup as systemLookup } from "node:dns"
import * as Range from "../Range.ts"
import { ConnectFailed } from "../Reason.ts"
import type { AddressGuard } from "./AddressGuard.ts"
import { isLocalName } from "./Loopback.ts"

/** Asks for the addresses of a name. */
export type Lookup = (name: string) => Effect.Effect<ReadonlyArray<string>, unknown>

export interface ResolverOptions {
  /**
   * How long the addresses of a name are used before it is asked for again; longer than 0. What was not found or not
   * allowed is asked for every time. @default 30 seconds (ours: the system's resolver does not say how long they hold)
   */
  readonly timeToLive?: Duration.Input | undefined
  /** Names that are remembered, a whole number of at least 1; the oldest is forgotten. @default 1_000 (ours) */
  readonly names?: number | undefined
  /** How long the system is waited for; longer than 0. @default 10 seconds (ours) */
  readonly timeout?: Duration.Input | undefined
  /**
   * Who is asked instead of the system; for tests.
   * @default the system's resolver, and both loopback addresses for `localhost` and names below it
   */
  readonly lookup?: Lookup | undefined
}

export interface Resolver {
  /** The addresses of a name, none of them forbidden, at least one. Those who ask at once share the answer. */
  addresses(name: string): Effect.Effect<ReadonlyArray<string>, ConnectFailed>
}

/** Throws when an option is out of its range. */
export const make = (guard: AddressGuard, options: ResolverOptions = {}): Effect.Effect<Resolver> => {
  const timeToLive = Range.duration("Resolver: timeToLive", options.timeToLive ?? "30 seconds")
  const timeout = Range.duration("Resolver: timeout", options.timeout ?? "10 seconds")
  const capacity = Range.whole("Resolver: names", options.names ?? 1_000, 1)
  const lookup = options.lookup ?? lookupBySystem

  const resolve = (name: string): Effect.Effect<ReadonlyArray<string>, ConnectFailed> =>
    lookup(name).pipe(
      Effect.timeout(timeout),
      Effect.mapError(() => new ConnectFailed("Dns")),
      Effect.flatMap((addresses) => {
        if (addresses.length === 0) return Effect.fail(new ConnectFailed("Dns"))
        const isForbidden = addresses.some((address) => guard.refusal(address, name) !== undefined)
        return isForbidden ? Effect.fail(new ConnectFailed("Forbidden")) : Effect.succeed(addresses)
      })
    )

  return Effect.map(
    Cache.makeWith(resolve, { capacity, timeToLive: (exit) => Exit.isSuccess(exit) ? timeToLive : 0 }),
    (cache): Resolver => ({ addresses: (name) => Cache.get(cache, name) })
  )
}

const lookupBySystem: Lookup = (name) =>
  isLocalName(name)
    ? Effect.succeed(["127.0.0.1", "::1"])
    : Effect.callback((resume) => {
      systemLookup(name, { all: true, order: "verbatim" }, (error, found) => {
        resume(error === null ? Effect.succeed(found.map(({ address }) => address)) : Effect.fail(error))
      })
    })
