/**
 * Regression check of `npm run check`: the most important ratios, each with a band wide enough for a busy machine. It detects
 * a call that costs twice as much, not one that costs a tenth more; `npm run bench` does that. On a machine too busy to
 * measure, it says so and reports no regression.
 */
import * as Effect from "effect/Effect"
import { lineOf } from "../../scripts/suites/Counts.ts"
import { compare, quantile, rowOf } from "./compare.ts"
import * as Breakwater from "./guard/breakwater.ts"
import * as EffectParts from "./guard/effectParts.ts"
import { effectLoop, failureLoop } from "./guard/loop.ts"

/** The bars of the bench, and half as much again and more. */
const bands = { bare: 7, parts: 0.2, refusal: 0.12 }
/** The largest ratio of the middle half of one contender's own rounds that still counts as quiet. */
const quiet = 1.5

const work = () => Promise.resolve(1)
const effect = Effect.promise(work)
const parts = await Effect.runPromise(EffectParts.make)
const whole = Breakwater.stackOf("regression", Breakwater.whole, { meter: true })
const open = Breakwater.stackOf("open", {
  ...Breakwater.bare,
  breaker: { trip: { _tag: "Consecutive", failures: 1 }, openFor: "1 hour", maxOpenFor: "1 hour" }
})
await Effect.runPromiseExit(open.call(Breakwater.leafOf(() => Promise.reject(new Error("busy")))))
const circuit = await Effect.runPromise(EffectParts.openCircuit)

const samples = await compare([
  effectLoop("bare", effect),
  effectLoop("whole", whole.call(Breakwater.leafOf(work))),
  effectLoop("parts", parts.whole(effect)),
  failureLoop("refusal", open.call(Breakwater.leafOf(work))),
  failureLoop("refusal by parts", circuit(effect))
], { rounds: 9 })
const of = (name: string) => samples.find((sample) => sample.name === name)!

const held: Array<boolean> = []
const restless = samples.filter(({ cpu }) => quantile(cpu, 0.75) / quantile(cpu, 0.25) > quiet)
if (restless.length > 0) {
  console.log(`skipped: too noisy a machine to measure on (${restless.map(({ name }) => name).join(", ")})`)
} else {
  const rows = [
    rowOf("the whole stack around a no-op : bare Effect", of("whole"), of("bare"), { bar: bands.bare }),
    rowOf("the whole stack around a no-op : composed of Effect's parts", of("whole"), of("parts"), {
      bar: bands.parts
    }),
    rowOf("a refusal while open : Effect's CircuitBreaker", of("refusal"), of("refusal by parts"), {
      bar: bands.refusal
    })
  ]
  for (const { bar, name, ratio } of rows) {
    const isHeld = ratio <= bar!
    held.push(isHeld)
    console.log(`${isHeld ? "holds" : "BROKEN"}: ${name} ${ratio.toFixed(2)}, at most ${bar}`)
    if (!isHeld) process.exitCode = 1
  }
}
const failed = held.filter((isHeld) => !isHeld).length
console.log(lineOf({ passed: held.length - failed, failed, skipped: held.length === 0 ? 3 : 0 }))
