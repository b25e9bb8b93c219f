/**
 * Resolves names to addresses that the guard allows. Every address of a name is checked, and a single forbidden one
 * refuses the name: a mix of good and bad addresses is the mark of DNS rebinding. Connections use the addresses that
 * were checked, without a second lookup.
 */
import * as Cache from "effect/Cache"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { lookup as systemLookup } from "node:dns"
import * as Range from "../Range.ts"
import { ConnectFailed } from "../Reason.ts"
import * as Timeline from "../Timeline.ts"
import type { AddressGuard } from "./AddressGuard.ts"
import { isLocalName } from "./Loopback.ts"

/** Looks up the addresses of a name. */
export type Lookup = (name: string) => Effect.Effect<ReadonlyArray<string>, unknown>

export interface ResolverOptions {
  /**
   * How long the addresses of a name are reused; longer than 0. Failed and refused lookups are not cached.
   * @default 30 seconds, because the system's resolver does not report a lifetime
   */
  readonly timeToLive?: Duration.Input | undefined
  /** Names in the cache, a whole number of at least 1; the oldest is evicted. @default 1_000 */
  readonly names?: number | undefined
  /** The time limit of a lookup; longer than 0. @default 10 seconds */
  readonly timeout?: Duration.Input | undefined
  /**
   * The lookup to use instead of the system's; for tests.
   * @default the system's resolver, and both loopback addresses for `localhost` and names below it
   */
  readonly lookup?: Lookup | undefined
}

export interface Resolver {
  /** The addresses of a name: at least one, and none forbidden. Concurrent calls share one lookup. */
  addresses(name: string): Effect.Effect<ReadonlyArray<string>, ConnectFailed>
}

/** Makes a resolver. Throws if an option is out of its range. */
export const make = (guard: AddressGuard, options: ResolverOptions = {}): Effect.Effect<Resolver> => {
  const lifeMillis = Range.duration("Resolver: timeToLive", options.timeToLive ?? "30 seconds")
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

  const now = Effect.withFiber((fiber) => Effect.succeed(Timeline.of(fiber).elapsed()))
  const found = (name: string) => Effect.map(Effect.all([resolve(name), now]), ([addresses, at]) => ({ addresses, at }))
  return Effect.map(
    Cache.makeWith(found, { capacity, timeToLive: (exit) => Exit.isSuccess(exit) ? lifeMillis : 0 }),
    (cache): Resolver => {
      const addresses: Resolver["addresses"] = (name) =>
        Effect.flatMap(Effect.all([now, Cache.get(cache, name)]), ([asked, known]) =>
          // The cache itself goes by the wall clock, which may have been set back. What was found after the caller
          // asked is never too old.
          asked < known.at + lifeMillis
            ? Effect.succeed(known.addresses)
            : Effect.andThen(Cache.invalidate(cache, name), addresses(name)))
      return { addresses }
    }
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
