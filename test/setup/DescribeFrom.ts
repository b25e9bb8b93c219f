/** Suites that begin with a tier: a run of an earlier tier does not have them, and counts none of their tests as skipped. */
import { describe } from "vitest"
import { isAtLeast, type Tier } from "./Effort.ts"

type Describe = (
  title: string,
  options: { readonly timeout?: number; readonly concurrent?: boolean },
  suite: () => void
) => unknown

export const describeFrom = (tier: Tier, from: Describe = describe): Describe => isAtLeast(tier) ? from : () => {}
