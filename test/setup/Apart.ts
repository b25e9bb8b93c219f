/**
 * The test files that have a process of their own in every tier, because they replace what a whole process shares: its
 * timers and clocks, or a module. Other files share processes in a quick run.
 */
export const apart: ReadonlyArray<string> = [
  "test/bench/behaviour/*.test.ts",
  "test/core/Timeline.test.ts",
  "test/core/Timeline/Wheel.test.ts",
  "test/core/sources/OAuth/TokenStore.test.ts"
]

/** What a file replaces that other files in its process would meet. */
export const replaces = /\bvi\.(?:mock|doMock|useFakeTimers|setSystemTime|stubGlobal)\(|\binVirtualTime\(/
