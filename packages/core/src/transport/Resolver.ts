/**
 * Resolves names to addresses that the guard allows. Every address of a name is checked, and a single forbidden one
 * refuses the name: a mix of good and bad addresses is the mark of DNS rebinding. Connections use the addresses that
 * were checked, without a second lookup. While a lookup fails or hangs, the last good addresses serve on (RFC 8767).
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Range from "../Range.ts"
import { ConnectFailed } from "../Reason.ts"
import * as Timeline from "../Timeline.ts"
import type { AddressGuard } from "./AddressGuard.ts"
import { isLocalName } from "./Loopback.ts"
import * as SystemLookup from "./Resolver/SystemLookup.ts"

/**
 * Looks up the addresses of a name. No address, and an error with the code `ENOTFOUND` or `ENODATA`, say that the name has
 * none; with any other error the lookup has failed.
 */
export type Lookup = (name: string) => Effect.Effect<ReadonlyArray<string>, unknown>

export interface ResolverOptions {
  /**
   * How long the addresses of a name are reused without a new lookup; longer than 0.
   * @default 30 seconds, because the system's resolver does not report a lifetime
   */
  readonly timeToLive?: Duration.Input | undefined
  /**
   * How long after that the last good addresses are still used while new lookups fail or hang; at least 0. An answer that
   * the name has no address, or a forbidden one, ends their use at once.
   * @default 1 day (RFC 8767, section 5, suggests 1 to 3 days)
   */
  readonly staleFor?: Duration.Input | undefined
  /** Names in the cache, a whole number of at least 1; the oldest is evicted. @default 1_000 */
  readonly names?: number | undefined
  /** The time limit of a lookup; longer than 0. @default 10 seconds */
  readonly timeout?: Duration.Input | undefined
  /**
   * The name servers to ask, each an address with or without a port, such as `10.0.0.2` or `[fd12::1]:5353`; then neither
   * the hosts file nor the search domains of the system are used.
   * @default the system's hosts file, name servers and search domains
   */
  readonly servers?: ReadonlyArray<string> | undefined
  /**
   * The lookup to use instead of name servers; for tests.
   * @default `servers`, and both loopback addresses for `localhost` and names below it
   */
  readonly lookup?: Lookup | undefined
}

export interface Resolver {
  /** The addresses of a name: at least one, and none forbidden. Concurrent calls share one lookup. */
  addresses(name: string): Effect.Effect<ReadonlyArray<string>, ConnectFailed>
}

/** How long a failed lookup is not repeated, in milliseconds (RFC 9520, section 3.2: at least 1 second). */
const pauseMillis = 1_000

/**
 * How long a new lookup is waited for if there are last good addresses, in milliseconds. Our own judgement: a fifth of the
 * default connect timeout. RFC 8767, section 5, has 1.8 seconds, for callers who wait longer.
 */
const patienceMillis = 200

type Addresses = ReadonlyArray<string>

/** What is known about a name. */
interface Known {
  /** The last good addresses. */
  good: { readonly addresses: Addresses; readonly at: number } | undefined
  failed: { readonly reason: ConnectFailed; readonly at: number } | undefined
  lookup: { readonly fiber: Fiber.Fiber<Addresses, ConnectFailed>; readonly since: number } | undefined
}

/** Makes a resolver; its lookups end with its scope. Throws if an option is out of its range. */
export const make = (
  guard: Pick<AddressGuard, "refusal">,
  options: ResolverOptions = {}
): Effect.Effect<Resolver, never, Scope.Scope> => {
  const lifeMillis = Range.duration("Resolver: timeToLive", options.timeToLive ?? "30 seconds")
  const staleMillis = lifeMillis + Range.durationOrZero("Resolver: staleFor", options.staleFor ?? "1 day")
  const timeout = Range.duration("Resolver: timeout", options.timeout ?? "10 seconds")
  const capacity = Range.whole("Resolver: names", options.names ?? 1_000, 1)
  const lookup = options.lookup ?? lookupAt(options.servers)
  const names = new Map<string, Known>()
  const running = new Set<Fiber.Fiber<unknown, unknown>>()

  const knownOf = (name: string): Known => {
    let known = names.get(name)
    if (known === undefined) {
      names.set(name, known = { good: undefined, failed: undefined, lookup: undefined })
      if (names.size > capacity) names.delete(names.keys().next().value!)
    }
    return known
  }

  /** Looks a name up, and keeps what was found. */
  const resolve = (name: string, known: Known, timeline: Timeline.Timeline): Effect.Effect<Addresses, ConnectFailed> =>
    Effect.flatMap(Effect.exit(Effect.timeout(Effect.suspend(() => lookup(name)), timeout)), (exit) => {
      known.lookup = undefined
      const at = timeline.elapsed()
      const failed = (failure: "Dns" | "Forbidden") => {
        known.failed = { reason: new ConnectFailed(failure), at }
        return Effect.fail(known.failed.reason)
      }
      if (Exit.isFailure(exit)) {
        if (SystemLookup.isUnknown(Option.getOrUndefined(Exit.findErrorOption(exit)))) known.good = undefined
        return failed("Dns")
      }
      known.good = undefined
      const addresses = exit.value
      if (addresses.length === 0) return failed("Dns")
      if (addresses.some((address) => guard.refusal(address, name) !== undefined)) return failed("Forbidden")
      known.good = { addresses, at }
      known.failed = undefined
      return Effect.succeed(addresses)
    })

  /** Joins the lookup of a name, which goes on without its callers. */
  const looked = (name: string, known: Known, context: Context.Context<never>, timeline: Timeline.Timeline) => {
    if (known.lookup !== undefined) return known.lookup
    const fiber = Effect.runForkWith(context)(resolve(name, known, timeline))
    const lookup = { fiber, since: timeline.elapsed() }
    if (fiber.pollUnsafe() === undefined) {
      known.lookup = lookup
      running.add(fiber)
      fiber.addObserver(() => running.delete(fiber))
    }
    return lookup
  }

  const addresses: Resolver["addresses"] = (name) =>
    Effect.withFiber((fiber) => {
      const timeline = Timeline.of(fiber)
      const known = knownOf(name)
      const now = timeline.elapsed()
      const { failed, good } = known
      if (good !== undefined && now < good.at + lifeMillis) return Effect.succeed(good.addresses)
      const last = good !== undefined && now < good.at + staleMillis ? Effect.succeed(good.addresses) : undefined
      if (failed !== undefined && now < failed.at + pauseMillis) return last ?? Effect.fail(failed.reason)
      const lookup = looked(name, known, fiber.context, timeline)
      const found = Fiber.join(lookup.fiber)
      if (last === undefined) return found
      const patience = Math.max(0, lookup.since + patienceMillis - now)
      return Effect.timeoutOrElse(found, { duration: patience, orElse: () => last }).pipe(
        // The lookup decides whether the last good addresses may still be used.
        Effect.catch((reason) => known.good === undefined ? Effect.fail(reason) : last)
      )
    })

  return Effect.as(
    Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const fiber of running) fiber.interruptUnsafe()
      })
    ),
    { addresses }
  )
}

const lookupAt = (servers: ReadonlyArray<string> | undefined): Lookup => (name) =>
  isLocalName(name)
    ? Effect.succeed(["127.0.0.1", "::1"])
    : servers === undefined
    ? SystemLookup.bySystem(name)
    : SystemLookup.byServers(name, servers)
