/** A call as a gate sees it, for tests that drive gates by hand: a test may change any field between two admissions. */
import type { Call } from "@breakwater/core/Gate"

export type FakeCall = { -readonly [Field in keyof Call]: Call[Field] }

export const fakeCall = (overrides: Partial<Call> = {}): FakeCall => {
  const { operation = "charge", vendor = "acme" } = overrides
  return {
    vendor,
    operation,
    scope: `${vendor}/${operation}`,
    key: "",
    safety: "Idempotent",
    cost: 1,
    now: 0,
    deadline: Infinity,
    attempt: 1,
    priority: "Normal",
    random: () => 0.5,
    ...overrides
  }
}
