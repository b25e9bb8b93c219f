import type { VendorError } from "@breakwater/core"
import { assert, describe, it } from "@effect/vitest"
import { stackCaller } from "./Contender.ts"
import { recoveredAfter } from "./Seconds.ts"
import { arrivals, type Ask, SimulatedVendor, VendorFailure, within } from "./SimulatedVendor.ts"
import { inVirtualTime, pause } from "./VirtualTime.ts"

const crowd = (seed: number) =>
  inVirtualTime(async () => {
    const begin = performance.now()
    const vendor = new SimulatedVendor({ servers: 3, serviceMillis: ({ random }) => 100 * random() })
    const ends = new Array<number>()
    await arrivals({ perSecond: () => 40, millis: 20_000, seed }, async () => {
      await vendor.ask()
      ends.push(performance.now() - begin + Math.random())
    })
    return ends
  }, { seed })

describe("VirtualTime", () => {
  it("jumps from timer to timer, and tells the same time by every clock", async () => {
    const told = await inVirtualTime(async () => {
      const since = [performance.now(), Date.now()] as const
      await new Promise((resolve) => setTimeout(resolve, 86_400_000))
      return [performance.now() - since[0], Date.now() - since[1]]
    })
    assert.deepStrictEqual(told, [86_400_000, 86_400_000])
  })

  it("fires timers in the order they are due, and what follows from one before the next", async () => {
    const order = await inVirtualTime(async () => {
      const order = new Array<string>()
      setTimeout(() => order.push("late"), 30)
      const repeated = setInterval(() => order.push("again"), 12)
      clearTimeout(setTimeout(() => order.push("never"), 6))
      setTimeout(() => {
        order.push("early")
        void Promise.resolve().then(() => order.push("of early"))
      }, 10)
      setTimeout(() => order.push("as early"), 10)
      setImmediate(() => order.push("at once"))
      await pause(40)
      clearInterval(repeated)
      await pause(40)
      return order
    })
    assert.deepStrictEqual(order, [
      "at once",
      "early",
      "of early",
      "as early",
      "again",
      "again",
      "late",
      "again"
    ])
  })

  it("gives the same result for the same seed after any other run, and another result for another seed", async () => {
    const first = await crowd(1)
    const other = await crowd(2)
    await inVirtualTime(() => pause(1e10))
    assert.deepStrictEqual(await crowd(1), first)
    assert.notDeepEqual(other, first)
  })

  it("leaves no library waiting for a timer of the run before", async () => {
    const limited = (ask: Ask) =>
      inVirtualTime(() =>
        stackCaller({ retry: false })(ask).then(() => "answered", (error: VendorError) => error.reason._tag)
      )
    assert.strictEqual(await limited(() => pause(1)), "answered")
    assert.strictEqual(await limited(() => new Promise(() => {})), "Timeout")
  })

  it("gives everything back, also when the run fails or comes to a halt", async () => {
    const before = [setTimeout, Math.random, Date.now, setImmediate, Error.stackTraceLimit]
    const failed = await inVirtualTime(() => Promise.reject(new Error("on purpose"))).catch(String)
    const halted = await inVirtualTime(() => new Promise<never>(() => {})).catch(String)
    assert.strictEqual(failed, "Error: on purpose")
    assert.match(halted, /nothing is left/)
    assert.deepStrictEqual([setTimeout, Math.random, Date.now, setImmediate, Error.stackTraceLimit], before)
  })

  it("fires timers early by the clock where it is told to, and never more than so", async () => {
    const early = await inVirtualTime(async () => {
      const early = new Array<number>()
      for (let i = 0; i < 100; i++) {
        const due = performance.now() + 10
        await new Promise((resolve) => setTimeout(resolve, 10))
        early.push(due - performance.now())
      }
      return early
    }, { earlyMillis: 1 })
    assert.isTrue(early.every((millis) => millis >= 0 && millis <= 1))
    assert.isAbove(Math.max(...early), 0.5)
  })
})

describe("SimulatedVendor", () => {
  it("serves a number of calls at once, queues others, rejects the rest, and serves calls whose caller has gone", async () => {
    const told = await inVirtualTime(async () => {
      const begin = performance.now()
      const vendor = new SimulatedVendor({ servers: 1, queue: 2, serviceMillis: () => 100 })
      const ask = within(150, vendor.ask)
      const ends = await Promise.all(
        Array.from({ length: 4 }, () =>
          ask().then(() => 200, (error: VendorFailure) => error.status)
            .then((status) => `${status} after ${performance.now() - begin}`))
      )
      const busy = vendor.inside
      await pause(1_000)
      return { ends, busy, left: vendor.inside, turnedAway: vendor.turnedAway }
    })
    assert.deepStrictEqual(told, {
      ends: ["200 after 100", "0 after 150", "0 after 150", "503 after 1"],
      busy: 2,
      left: 0,
      turnedAway: 1
    })
  })

  it("is called about so many times a second, also where that changes", async () => {
    const counts = await inVirtualTime(async () => {
      const counts = [0, 0]
      await arrivals({ perSecond: (since) => since < 100_000 ? 10 : 50, millis: 200_000 }, async (since) => {
        counts[since < 100_000 ? 0 : 1]!++
      })
      return counts
    })
    assert.closeTo(counts[0]!, 1_000, 100)
    assert.closeTo(counts[1]!, 5_000, 250)
  })
})

describe("recoveredAfter", () => {
  const seconds = (answered: (second: number) => number) =>
    Array.from({ length: 60 }, (_, second) => ({ second, calls: 10, attempts: 10, answered: answered(second) }))

  it("is the first second from which calls are answered for good", () => {
    assert.strictEqual(recoveredAfter(seconds(() => 10), 20), 0)
    assert.strictEqual(recoveredAfter(seconds((second) => second < 30 ? 0 : 10), 20), 10)
    // A relapse counts from its end.
    assert.strictEqual(recoveredAfter(seconds((second) => second < 30 || second === 40 ? 0 : 10), 20), 21)
  })

  it("is nothing where they are not", () => {
    assert.isUndefined(recoveredAfter(seconds((second) => second > 55 ? 0 : 10), 20))
  })
})
