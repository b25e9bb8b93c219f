/**
 * The tests that a quick run leaves out: each row names the tier in which they run first, and the reason. The later tiers run
 * them too. `docs/tests.md` is written from this table.
 */
import { isAtLeast, type Tier } from "./Effort.ts"

export interface Later {
  /** A file, or a glob of files. */
  readonly file: string
  /** The part of the file that runs later. @default the whole file */
  readonly part?: string
  readonly tier: Exclude<Tier, "test">
  readonly because: string
}

export const later: ReadonlyArray<Later> = [
  {
    file: "test/leaks/*.test.ts",
    tier: "check",
    because: "It plants secrets in every place that could show them, and starts servers: 25 CPU seconds"
  },
  {
    file: "test/examples.test.ts",
    tier: "check",
    because: "It type-checks every example in the documents and in the comments as a project of its own"
  },
  {
    file: "test/published.test.ts",
    tier: "check",
    because: "It bundles the packages and loads each entry point in a process of its own"
  },
  {
    file: "test/core/transport/*.fuzz.test.ts",
    tier: "check",
    because: "It plays hundreds of random scenes over real sockets"
  },
  {
    file: "test/vendors/payments/stripe/OfficialClient.test.ts",
    tier: "check",
    because: "It compares the simulator with the official client of the vendor"
  },
  {
    file: "test/vendors/payments/stripe/Spec.test.ts",
    tier: "check",
    because: "It reads the published specification of the vendor, of several megabytes"
  },
  {
    file: "test/core/transport/Hostile.test.ts",
    part: "two of three rows, and the page that all rows make",
    tier: "check",
    because: "Most rows wait for a limit on real sockets: 46 seconds of waiting in all"
  },
  {
    file: "test/regressions/ConnectionsDay.test.ts",
    part: "a whole day instead of three hours",
    tier: "check",
    because: "It sends four thousand requests over real sockets"
  },
  {
    file: "test/regressions/DemotedRedis.test.ts",
    part: "a real Redis",
    tier: "ci",
    because: "It starts two servers of Redis"
  },
  {
    file: "test/cli/secrets/Secrets.test.ts",
    part: "signals, other writers, readers meanwhile, another key",
    tier: "check",
    because: "Every step is a process of its own, or derives a key from a passphrase"
  },
  {
    file: "test/regressions/BrokenPeers.test.ts",
    part: "two of four plays, and minutes 12 to 30 of all",
    tier: "check",
    because: "Each play is half an hour of calls of a fleet: 11 CPU seconds"
  },
  {
    file: "test/demo-server/DemoServer.test.ts",
    part: "two of three faults, and a server without a key",
    tier: "check",
    because:
      "A vendor that hangs takes seconds of a request, and a server must serve few of these rows to keep its breakers closed"
  },
  {
    file: "test/demo-server/Degradation.test.ts",
    part: "two of three times that cannot be read",
    tier: "check",
    because: "Each starts a server that ends at once"
  },
  {
    file: "test/demo-server/Credentials.test.ts",
    part: "two of three sources and of three mistakes",
    tier: "check",
    because: "Each source starts a server of its own; the sources have their own tests"
  },
  {
    file: "test/demo-server/Manners.test.ts",
    part: "Ctrl-C through npm",
    tier: "check",
    because: "npm and pnpm start first: three CPU seconds"
  },
  {
    file: "test/demo-server/Environment.test.ts",
    part: "half of the keys that are missing",
    tier: "check",
    because: "Each starts a server that ends at once"
  },
  {
    file: "test/core/sources/Rotation.test.ts",
    part: "a rotation without an overlap",
    tier: "check",
    because: "Each source makes 200 calls at a time over real sockets"
  },
  {
    file: "test/core/policies/AdaptiveLimit/Overload.test.ts",
    part: "two of three capacities",
    tier: "check",
    because: "It simulates minutes of overload: 8 CPU seconds"
  },
  {
    file: "test/bench/behaviour/Outages.test.ts",
    part: "more processes than three, other rates, and a second seed",
    tier: "check",
    because: "It simulates minutes of outages for a hundred thousand calls: a CPU minute"
  },
  {
    file: "test/vendors/Contracts.test.ts",
    tier: "check",
    because: "It compiles all contracts in two processes of its own"
  },
  {
    file: "test/scripts/mutation.test.ts",
    part: "a trial",
    tier: "check",
    because: "It runs tests in processes of their own"
  },
  {
    file: "test/scripts/Licences.test.ts",
    tier: "check",
    because: "It asks pnpm for the licence of every package"
  },
  {
    file: "test/core/fleet/Redis.test.ts",
    tier: "ci",
    because: "It starts Redis, and three processes for each test"
  },
  {
    file: "test/core/caching/ResponseCache/Redis.test.ts",
    tier: "ci",
    because: "It starts Redis and three processes"
  },
  {
    file: "test/core/fleet/LazyRedis.test.ts",
    part: "the Redis that is real",
    tier: "ci",
    because: "It starts Redis"
  },
  {
    file: "test/demo-server/Fleet.test.ts",
    part: "the Redis that is real",
    tier: "ci",
    because: "It starts Redis and two servers"
  },
  {
    file: "test/demo-server/DocsPage.test.ts",
    tier: "ci",
    because: "It opens the page of the reference in Chromium"
  },
  {
    file: "test/consumer/*.test.ts",
    tier: "ci",
    because: "It packs the packages and installs them from the registry into a project of its own: minutes"
  }
]

/** The globs of the files that a run of this tier leaves out. */
export const leftOut: ReadonlyArray<string> = later
  .filter(({ part, tier }) => part === undefined && !isAtLeast(tier))
  .map(({ file }) => file)
