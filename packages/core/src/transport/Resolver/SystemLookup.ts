/**
 * Looks up names as the system does: in its hosts file, then at its name servers. Node's `dns.lookup` would occupy one
 * of the two threads that libuv has for lookups, so that two dead names delay all others. It is asked only about names
 * that the name servers do not know, one at a time: such as names below a search domain.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import { lookup, Resolver } from "node:dns"
import * as HostsFile from "./HostsFile.ts"

/** The addresses of a name by all means of the system. */
export const bySystem = (name: string): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.flatMap(HostsFile.addresses(name), (addresses) =>
    addresses.length > 0
      ? Effect.succeed(addresses)
      : Effect.catchIf(byServers(name), (error) => isUnknown(error) || isWithoutServer(error), () => byThread(name)))

/** The addresses of a name at these name servers; at those of the system by default. */
export const byServers = (
  name: string,
  servers?: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.suspend(() => {
    // A resolver of its own can be cancelled, and knows the present configuration of the system.
    const resolver = new Resolver()
    if (servers !== undefined) resolver.setServers(servers)
    const query = (ask: "resolve4" | "resolve6") =>
      Effect.exit(Effect.callback<ReadonlyArray<string>, Error>((resume) => {
        resolver[ask](name, (error, found) => resume(error === null ? Effect.succeed(found) : Effect.fail(error)))
      }))
    return Effect.gen(function*() {
      const six = yield* Effect.forkChild(query("resolve6"), { startImmediately: true })
      const four = yield* Effect.forkChild(query("resolve4"), { startImmediately: true })
      const both = Effect.all([Fiber.join(six), Fiber.join(four)])
      // Some name servers drop the question for one family (RFC 8305, section 3).
      const one = (family: typeof six): Effect.Effect<ReadonlyArray<string>, unknown> =>
        Effect.flatMap(Fiber.join(family), (exit) =>
          Exit.isSuccess(exit) && exit.value.length > 0
            ? Effect.delay(exit, resolutionDelayMillis)
            : Effect.never)
      return yield* Effect.raceFirst(Effect.flatMap(both, combined), Effect.raceFirst(one(six), one(four)))
    }).pipe(Effect.ensuring(Effect.sync(() => resolver.cancel())))
  })

/**
 * How long the second family is waited for once the first has answered, in milliseconds: the "Resolution Delay" of RFC
 * 8305, section 3.
 */
const resolutionDelayMillis = 50

/** IPv6 first (RFC 8305, section 4). The name is unknown only if both answers say so. */
const combined = (
  exits: ReadonlyArray<Exit.Exit<ReadonlyArray<string>, Error>>
): Exit.Exit<ReadonlyArray<string>, unknown> => {
  const found = exits.flatMap((exit) => Exit.isSuccess(exit) ? exit.value : [])
  if (found.length > 0) return Exit.succeed(found)
  return exits.find((exit) => !isUnknown(Option.getOrUndefined(Exit.findErrorOption(exit)))) ?? exits[0]!
}

const alone = Semaphore.makeUnsafe(1)

const byThread = (name: string): Effect.Effect<ReadonlyArray<string>, unknown> => {
  const looked = Effect.callback<ReadonlyArray<string>, Error>((resume) => {
    lookup(name, { all: true, order: "verbatim" }, (error, found) => {
      resume(error === null ? Effect.succeed(found.map(({ address }) => address)) : Effect.fail(error))
    })
  })
  // The thread stays busy after its caller has gone, and so the permit stays taken.
  return Effect.flatMap(Effect.forkDetach(alone.withPermits(1)(looked)), Fiber.join)
}

const hasCode = (error: unknown, codes: RegExp): boolean =>
  error instanceof Error && "code" in error && codes.test(String(error.code))

/** Whether an error of a lookup says that the name has no address, rather than that the lookup failed. */
export const isUnknown = (error: unknown): boolean => hasCode(error, /^(?:ENOTFOUND|ENODATA)$/)

/** Whether no name server listens. */
const isWithoutServer = (error: unknown): boolean => hasCode(error, /^ECONNREFUSED$/)
