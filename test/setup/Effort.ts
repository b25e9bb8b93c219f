/**
 * How much a test run takes on. The tiers run the same code in other sizes: `EFFORT=check` (the default is `test`) runs
 * more of every property and the files that `Tiers.ts` keeps out of a quick run.
 */

/** From the quickest to the longest; each does all that the ones before it do. */
const tiers = ["test", "check", "ci", "long"] as const
export type Tier = typeof tiers[number]

const tierOf = (name: string): Tier => {
  const tier = tiers.find((tier) => tier === name)
  if (tier === undefined) throw new Error(`EFFORT must be one of ${tiers.join(", ")}, got ${name}`)
  return tier
}

/** The tier of this run. */
const effort: Tier = tierOf(process.env["EFFORT"] ?? "test")

export const isAtLeast = (tier: Tier): boolean => tiers.indexOf(effort) >= tiers.indexOf(tier)

/** Runs of a property in a quick run. */
const quickRuns = 50

/** Runs of a property: as many as it names in a check, at most 50 (or `quick`) in a quick run, twenty times as many in a long one. */
export const runs = (usual: number, quick: number = quickRuns): number => runsIn(effort, usual, quick)

export const runsIn = (tier: Tier, usual: number, quick: number = quickRuns): number =>
  tier === "test" ? Math.min(usual, quick) : tier === "long" ? usual * 20 : usual

/** The items of a table that a quick run plays: every n-th, so that each kind is still met. All of them otherwise. */
export const everyNth = <A>(n: number, items: ReadonlyArray<A>): ReadonlyArray<A> =>
  effort === "test" ? items.filter((_, index) => index % n === 0) : items
