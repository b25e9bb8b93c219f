/**
 * Code of users that throws: gates of their own, leaves, delays, budgets. The exception is a defect of its own call, which
 * ends at once and gives everything back; other calls and the process go on.
 */
import type { Gate, Permit, Wait } from "@breakwater/core/Gate"
import { freePermit } from "@breakwater/core/Gate"
import * as Bulkhead from "@breakwater/core/policies/Bulkhead"
import type { RetryBudget } from "@breakwater/core/policies/RetryBudget"
import type { Leaf } from "@breakwater/core/stack/Leaf"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import { Unavailable } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Play, vendor } from "../drivers/PlayedVendor.ts"

const broken = (): never => {
  throw new Error("foreign")
}

const permit = (changes: Partial<Permit>): Permit => ({ ...freePermit, ...changes })

const wait = (changes: Partial<Wait>): Wait => ({
  _tag: "Wait",
  limitMillis: 1_000,
  onTurn: (turn) => turn(5),
  claim: () => freePermit,
  cancel() {},
  expired: broken,
  ...changes
})

const gate = (admit: Gate["admit"], more: Partial<Gate> = {}): Gate => ({ name: "foreign", admit, ...more })

const gates: Readonly<Record<string, Gate>> = {
  "is asked": gate(broken),
  "is told of the outcome": gate(() => permit({ settle: broken })),
  "lets a call wait, and takes its subscription": gate(() => wait({ onTurn: broken })),
  "gives a permit after a wait": gate(() => wait({ claim: broken })),
  "gives a turn after a while": gate(() => wait({ onTurn: (turn) => setImmediate(() => turn(0)), claim: broken })),
  "refuses a call that has waited too long": gate(() => wait({ onTurn() {} })),
  "takes back a place": gate(() => wait({ onTurn() {}, cancel: broken })),
  "foretells a refusal": gate(() => freePermit, { forecast: broken })
}

const leaf: Leaf<string, never> = vendor(() => ({ after: 10 })).leaf

/** Calls of a policy with a bulkhead; whether the first ends with the defect, and whether all give their places back. */
const play = (policy: Policy.Policy, played: Leaf<string, never> = leaf) =>
  Effect.gen(function*() {
    const bulkhead = Bulkhead.make({ limit: 1, queue: 1 })
    const stack = Stack.make({
      vendor: "acme",
      operation: "ring",
      safety: "Idempotent",
      policy: { breaker: false, bulkhead, retryBudget: false, ...policy }
    })
    const fiber = yield* Effect.forkChild(Effect.exit(stack.call(played)))
    yield* TestClock.adjust(1)
    // What a gate does later than at once comes in a turn of the event loop.
    yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    yield* TestClock.adjust("1 minute")
    const exit = yield* Fiber.join(fiber)
    assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause), String(exit))
    assert.include(String(exit), "foreign")
    assert.deepStrictEqual(bulkhead.inUse("acme"), { running: 0, waiting: 0 })
  })

describe("a gate of a user that throws when it", () => {
  const ring = (name: string, where: "operation" | "attempt") =>
    it.effect(`${name}, in the ${where} ring`, () => {
      const own = gates[name]!
      // A forecast is asked for when another gate lets the call wait.
      const waiting = gate(() => wait({}))
      return play({
        gates: own.forecast === undefined
          ? { [where]: [own] }
          : where === "operation"
          ? { operation: [waiting], attempt: [own] }
          : { attempt: [waiting, own] }
      })
    })
  for (const name of Object.keys(gates)) {
    ring(name, "operation")
    ring(name, "attempt")
  }

  it.effect("is told of the outcome, does not keep the gates around it from being told", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const listening = gate(() => permit({ settle: (_, outcome) => heard.push(outcome._tag) }))
      yield* play({ gates: { attempt: [listening, gates["is told of the outcome"]!, listening] } })
      assert.deepStrictEqual(heard, ["Success", "Success"])
    }))

  it.effect("takes a permit back, does not keep the others from being given back", () =>
    Effect.gen(function*() {
      let held = 0
      const counting = gate(() => {
        held++
        return permit({ cancel: () => held-- })
      })
      const refusing = gate(() => ({ _tag: "Refusal", reason: new Unavailable(503) }))
      yield* play({ gates: { attempt: [counting, gate(() => permit({ cancel: broken })), counting, refusing] } })
      assert.strictEqual(held, 0)
    }))
})

describe("other code of a user that throws", () => {
  const slow = (): Play => ({ after: 100 })
  const failing = (): Play => ({ after: 10, reason: new Unavailable(503) })
  const emptied: RetryBudget = { deposit() {}, withdraw: broken, balance: () => 1 }

  it.effect.each<readonly [string, Policy.Policy, Leaf<string, never>]>([
    ["the delay of the first hedge", { hedge: { after: broken } }, leaf],
    [
      "the delay of a later hedge",
      { hedge: { after: (hedge) => hedge === 1 ? 5 : broken(), hedges: 2 } },
      vendor(slow).leaf
    ],
    ["a budget that pays for a hedge", { hedge: { after: 5 }, retryBudget: emptied }, vendor(slow).leaf],
    ["a budget that pays for a hedge after a failure", {
      hedge: { after: "OnFailure" },
      retryBudget: emptied
    }, vendor(failing).leaf],
    ["a budget that pays for a retry", { retryBudget: emptied }, vendor(failing).leaf],
    ["a leaf when it is started", {}, broken],
    ["a leaf when it is stopped", { attemptTimeout: "1 second" }, () => broken],
    ["a leaf of a hedged call", { hedge: { after: 5 } }, broken]
  ])("is a defect of its own call: %s", ([, policy, played]) => play(policy, played))
})
