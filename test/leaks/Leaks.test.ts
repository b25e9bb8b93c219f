import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { probes } from "./Probes.ts"

/** Leak tests. `node scripts/mutation/run.ts` shows that they fail when any one redaction is removed. */
describe("a secret", () => {
  it.live.each(
    [
      ["what redaction was given", "rules"],
      ["an error at the start, when a setting is invalid", "start"],
      ["recordings", "recordings"],
      ["errors, causes, logs, spans, metrics and values around a call", "wire"],
      ["what the demo server answers, shows, logs and exports", "demo"],
      ["the demo server's output when it crashes or does not start", "crash"]
    ] as const
  )("is nowhere to be seen in %s", ([, probe]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* probes[probe], [])
    }))
})
