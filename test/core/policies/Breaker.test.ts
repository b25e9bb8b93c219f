import type { Permit } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import * as Breaker from "@breakwater/core/policies/Breaker"
import { RequestRejected, Unauthorized, Unavailable } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../drivers/BreakerSettings.ts"
import { consecutive, drive, type Ending, ending } from "../../drivers/DrivenBreaker.ts"
import { fakeCall } from "../../drivers/FakeCall.ts"

const hour = 3_600_000

describe("Breaker", () => {
  describe("closed", () => {
    it("by default opens at the twentieth call of thirty seconds when half of them failed, and not before", () => {
      const { breaker, make, refusal, state } = drive()
      for (let i = 0; i < 9; i++) make("failure", "answer")
      make("answer")
      assert.strictEqual(state(), "Closed")
      make("failure")
      assert.strictEqual(state(), "Open")
      assert.strictEqual(refusal()._tag, "CircuitOpen")
      assert.strictEqual(refusal().retryAfterMillis, 5_000)
      assert.strictEqual(breaker.name, "breaker")
    })

    it("by default opens at five failures in a row, or at half of the last hundred calls, with those kinds of trip", () => {
      const inARow = drive({ trip: { _tag: "Consecutive" } })
      inARow.make("failure", "failure", "failure", "failure")
      assert.strictEqual(inARow.state(), "Closed")
      inARow.make("failure")
      assert.strictEqual(inARow.state(), "Open")

      const last = drive({ trip: { _tag: "CountWindow" } })
      for (let i = 0; i < 51; i++) last.make("answer")
      for (let i = 0; i < 49; i++) last.make("failure")
      assert.strictEqual(last.state(), "Closed")
      // A hundred and one calls; the first is no longer counted.
      last.make("failure")
      assert.strictEqual(last.state(), "Open")
      // A smaller window could not hold a hundred calls.
      Breaker.make({ trip: { _tag: "CountWindow", minimumCalls: 100 } })
    })

    it("by default drops calls in steps of three seconds", () => {
      for (const [later, state] of [[26_999, "Open"], [27_000, "Closed"]] as const) {
        const driven = drive({ trip: { _tag: "TimeWindow", minimumCalls: 2 } })
        driven.call.now = 2_999
        driven.make("failure")
        driven.call.now += later + 1
        driven.make("failure")
        assert.strictEqual(driven.state(), state)
      }
    })

    it("counts a slow answer as a reason to open, and a slightly faster one not", () => {
      const slow = drive({ trip: { _tag: "CountWindow", size: 4, minimumCalls: 4 } })
      slow.make("answer", "slow", "answer", "slow")
      assert.strictEqual(slow.state(), "Open")
      const fast = drive({ slowCall: 101, trip: { _tag: "CountWindow", size: 4, minimumCalls: 4 } })
      fast.make("answer", "slow", "answer", "slow")
      assert.strictEqual(fast.state(), "Closed")
    })

    it("counts two seconds as slow by default", () => {
      const { admit, breaker, call, state } = drive({ slowCall: undefined, trip: consecutive(1) })
      assert.strictEqual(breaker.state("acme/charge", call.now), "Closed")
      admit().settle(call, Outcome.answered(1_999))
      assert.strictEqual(state(), "Closed")
      admit().settle(call, Outcome.answered(2_000))
      assert.strictEqual(state(), "Open")
    })

    it("counts a well-formed response that rejects the call as a sign of health", () => {
      const reasons = [new Unauthorized(401), new Unauthorized(403), new RequestRejected(404), new RequestRejected(422)]
      for (const outcome of [Outcome.answered(10), ...reasons.map((reason) => Outcome.failed(10, reason))]) {
        const { admit, call, make, state } = drive({ trip: consecutive(2), probes: [1] })
        make("failure")
        admit().settle(call, outcome)
        make("failure")
        assert.strictEqual(state(), "Closed", "it interrupts a row of failures")
        make("failure")
        call.now += 5_000
        admit().settle(call, outcome)
        assert.strictEqual(state(), "Closed", "it closes half-open")
      }
    })

    it("learns nothing from a call that was interrupted, never started, or met a rate limit", () => {
      const { make, state } = drive({ trip: consecutive(2) })
      make("failure", "interrupted", "cancel", "limited")
      assert.strictEqual(state(), "Closed")
      make("failure")
      assert.strictEqual(state(), "Open")
    })

    it("does not count failures of an hour ago (cockatiel 3.2.1's SamplingBreaker does)", () => {
      const { call, make, state } = drive()
      for (let i = 0; i < 19; i++) make("failure")
      call.now += hour
      for (let i = 0; i < 19; i++) make("failure")
      assert.strictEqual(state(), "Closed")
      make("failure")
      assert.strictEqual(state(), "Open")
    })
  })

  describe("open", () => {
    it("by default stays open for 5 seconds each time, and with growth for no more than 10", () => {
      for (
        const [growth, times] of [[undefined, [5, 5, 5, 5]], [1.5, [5, 7.5, 10, 10]], [2, [5, 10, 10, 10]]] as const
      ) {
        const { call, make, refusal } = drive({ trip: consecutive(1), growth })
        for (const seconds of times) {
          make("failure")
          assert.strictEqual(refusal().retryAfterMillis, seconds * 1_000)
          call.now += seconds * 1_000
        }
      }
    })

    it("stays open as long as the option says, also beyond the default cap", () => {
      const { call, make, refusal } = drive({ trip: consecutive(1), openFor: "5 minutes" })
      for (let failure = 0; failure < 2; failure++) {
        make("failure")
        assert.strictEqual(refusal().retryAfterMillis, 300_000)
        call.now += 300_000
      }
    })

    it("stays open as long as Retry-After asks, even after two thousand failed probes in a row", () => {
      const { call, make, refusal } = drive({ trip: consecutive(1), openFor: 0, probes: [1] })
      for (let i = 0; i < 2_000; i++) make("failure")
      make("comeBackLater")
      assert.strictEqual(refusal().retryAfterMillis, 90_000)
      call.now += 90_000
      make("answer")
    })

    it.prop(
      "refuses for exactly as long as it says, to the last fraction of a millisecond",
      { openFor: intBetween(1, 60_000), share: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })) },
      ({ openFor, share }) => {
        const { call, make, refusal, state } = drive({ trip: consecutive(1), openFor })
        make("failure")
        const openedAt = call.now
        call.now = Math.min(openedAt + openFor * share, openedAt + openFor - 1 / 1_024)
        assert.strictEqual(refusal().retryAfterMillis, openedAt + openFor - call.now)
        assert.strictEqual(state(), "Open")
        call.now = openedAt + openFor
        assert.strictEqual(state(), "HalfOpen")
        make("answer")
      }
    )

    it.prop(
      "stays open longer each time its probes fail, up to the cap, and as short as at first after a full recovery",
      {
        openFor: intBetween(1, 10_000),
        growth: Schema.Literals([1, 1.5, 2, 4]),
        room: intBetween(0, 100_000),
        failedProbes: intBetween(0, 8)
      },
      ({ failedProbes, growth, openFor, room }) => {
        const maxOpenFor = openFor + room
        const { call, make, refusal, state } = drive({
          trip: consecutive(1),
          openFor,
          growth,
          maxOpenFor,
          probes: [1, 2]
        })
        for (let recovery = 0; recovery < 2; recovery++) {
          let expected = openFor
          for (let opening = 0; opening <= failedProbes; opening++) {
            make("failure")
            assert.strictEqual(refusal().retryAfterMillis, Math.min(expected, maxOpenFor))
            call.now += Math.min(expected, maxOpenFor)
            expected *= growth
          }
          // One answered stage is enough, even if the next one fails.
          make("answer", ...(recovery === 0 ? ["failure" as const] : []))
          assert.strictEqual(state(), recovery === 0 ? "Open" : "HalfOpen")
          if (recovery === 0) {
            assert.strictEqual(refusal().retryAfterMillis, openFor)
            call.now += openFor
            make("answer")
          }
          make("answer", "answer")
          assert.strictEqual(state(), "Closed")
        }
      }
    )

    it.prop(
      "stays open at least as long as the vendor's Retry-After asks, up to an hour",
      {
        openFor: intBetween(0, 60_000),
        retryAfterMillis: Schema.Union([intBetween(0, 120_000), intBetween(0, 10 * hour)])
      },
      ({ openFor, retryAfterMillis }) => {
        const { admit, breaker, call } = drive({ trip: consecutive(1), openFor })
        admit().settle(call, Outcome.failed(10, new Unavailable(503, { retryAfterMillis })))
        const openedAt = call.now
        const open = Math.max(openFor, Math.min(retryAfterMillis, hour))
        if (open > 0) assert.strictEqual(breaker.state("acme/charge", openedAt + open - 1), "Open")
        assert.strictEqual(breaker.state("acme/charge", openedAt + open), "HalfOpen")
      }
    )
  })

  describe("half-open", () => {
    /** A breaker that has just become half-open. */
    const halfOpen = (options: Breaker.BreakerOptions = {}) => {
      const driven = drive({ trip: { _tag: "CountWindow", size: 1, minimumCalls: 1 }, ...options })
      driven.make("failure")
      driven.call.now += 5_000
      assert.strictEqual(driven.state(), "HalfOpen")
      return driven
    }

    it("by default admits 1, then 4, then 16 probes, and closes after the last", () => {
      const { admit, end, probing, refusal, state } = halfOpen()
      for (const stage of [1, 4, 16]) {
        const probes = Array.from({ length: stage }, admit)
        assert.strictEqual(refusal()._tag, "CircuitOpen")
        assert.strictEqual(probing(), stage)
        assert.strictEqual(state(), "HalfOpen")
        for (const probe of probes) end(probe, "answer")
      }
      assert.strictEqual(state(), "Closed")
      assert.strictEqual(probing(), 0)
    })

    it("does not admit the refused calls all at once (cockatiel 3.2.1 admits 19 of 20)", () => {
      const { breaker, call, end } = halfOpen()
      const twenty = () => Array.from({ length: 20 }, () => breaker.admit(call)).filter((one) => one._tag === "Permit")
      const first = twenty()
      assert.strictEqual(first.length, 1)
      assert.strictEqual(twenty().length, 0)
      end(first[0]!, "answer")
      assert.strictEqual(twenty().length, 4)
      assert.strictEqual(twenty().length, 0)
    })

    it("reopens as soon as a stage has failed, without waiting for its other probes", () => {
      const { admit, call, end, make, probing, refusal, state } = halfOpen()
      make("answer")
      const [a, b, c, d] = [admit(), admit(), admit(), admit()]
      end(a, "answer")
      end(b, "failure")
      assert.strictEqual(state(), "HalfOpen")
      end(c, "slowFailure")
      assert.strictEqual(state(), "Open")
      assert.strictEqual(probing(), 0)
      assert.strictEqual(refusal().retryAfterMillis, 5_000)
      end(d, "failure")
      assert.strictEqual(refusal().retryAfterMillis, 5_000)
      call.now += 5_000
      assert.strictEqual(state(), "HalfOpen")
    })

    it("reopens a consecutive breaker at half of a stage, and not at one unlucky probe", () => {
      const { call, end, admit, make, state } = drive({ trip: consecutive(3), probes: [4] })
      make("failure", "failure", "failure")
      call.now += 5_000
      const probes = [admit(), admit(), admit(), admit()]
      end(probes[0]!, "answer")
      end(probes[1]!, "failure")
      assert.strictEqual(state(), "HalfOpen")
      end(probes[2]!, "failure")
      assert.strictEqual(state(), "Open")
    })

    it("fails a stage at exactly the given share, for every whole percentage of a hundred probes", () => {
      for (let percent = 1; percent <= 100; percent++) {
        const trip: Breaker.Trip = { _tag: "CountWindow", size: 1, minimumCalls: 1, failureRate: percent / 100 }
        const { make, state } = halfOpen({ trip, probes: [100] })
        make(...Array.from({ length: percent - 1 }, () => "failure" as const))
        assert.strictEqual(state(), "HalfOpen", `${percent - 1} of 100 at ${percent / 100}`)
        make("failure")
        assert.strictEqual(state(), "Open", `${percent} of 100 at ${percent / 100}`)
      }
    })

    it("ignores the late result of a call from before it opened, good or bad", () => {
      for (const how of ["answer", "failure", "slow", "interrupted", "cancel"] as const) {
        const { admit, call, end, make, probing, state } = drive({ trip: consecutive(2), probes: [1, 2] })
        const late = [admit(), admit()]
        make("failure", "failure")
        end(late[0]!, how)
        assert.strictEqual(state(), "Open")
        call.now += 5_000
        const probe = admit()
        end(late[1]!, how)
        assert.strictEqual(state(), "HalfOpen")
        assert.strictEqual(probing(), 1)
        end(probe, "answer")
        make("answer", "answer")
        assert.strictEqual(state(), "Closed")
      }
    })

    it("ignores the late result of a probe from before it reopened or closed", () => {
      const { admit, call, end, make, state } = halfOpen({ probes: [4] })
      const late = [admit(), admit()]
      make("failure", "failure")
      call.now += 10_000
      end(late[0]!, "failure")
      make("answer")
      end(late[1]!, "failure")
      make("answer", "answer", "answer")
      assert.strictEqual(state(), "Closed")
    })

    it("gives the place of an interrupted, limited or never started probe to the next call", () => {
      for (const how of ["interrupted", "limited", "cancel"] as const) {
        const { admit, end, make, probing, refusal, state } = halfOpen({ probes: [1, 2] })
        for (let i = 0; i < 10; i++) {
          const probe = admit()
          assert.strictEqual(refusal()._tag, "CircuitOpen")
          end(probe, how)
          assert.strictEqual(probing(), 0)
        }
        assert.strictEqual(state(), "HalfOpen")
        make("answer", "answer", "answer")
        assert.strictEqual(state(), "Closed")
      }
    })

    it("gives up a probe that never ends after its timeout, and ignores its late result", () => {
      const { admit, call, end, make, probing, refusal, state } = halfOpen({
        probes: [1, 2],
        probeTimeout: "10 seconds"
      })
      const lost = admit()
      call.now += 9_999
      assert.strictEqual(refusal().retryAfterMillis, 1_000)
      call.now += 1
      const probe = admit()
      assert.strictEqual(probing(), 1)
      end(lost, "failure")
      assert.strictEqual(state(), "HalfOpen")
      assert.strictEqual(probing(), 1)
      end(probe, "answer")
      make("answer", "answer")
      assert.strictEqual(state(), "Closed")
    })

    it("by default gives up a probe after 60 seconds", () => {
      const { admit, call, refusal } = halfOpen()
      admit()
      call.now += 59_999
      assert.strictEqual(refusal()._tag, "CircuitOpen")
      call.now += 1
      admit()
    })

    it("counts the timeout of a stage from its last probe", () => {
      const { admit, call, make, refusal } = halfOpen({ probes: [1, 2], probeTimeout: "10 seconds" })
      make("answer")
      admit()
      call.now += 8_000
      admit()
      call.now += 9_999
      assert.strictEqual(refusal()._tag, "CircuitOpen")
      call.now += 1
      admit()
    })
  })

  // CircuitBreakerStateMachineTest: time window of 20 s, at least 5 calls, 50 %, slow above 4 s, open 5 s, 4 probes.
  describe("changes state like resilience4j's state machine,", () => {
    const options: Breaker.BreakerOptions = {
      trip: { _tag: "TimeWindow", window: "20 seconds", buckets: 20, minimumCalls: 5 },
      slowCall: "4 seconds",
      openFor: "5 seconds",
      growth: 1.5,
      probes: [4],
      probeTimeout: "1 second"
    }
    const slow = Outcome.answered(4_001)
    const opened = () => {
      const driven = drive(options)
      driven.make("answer", "answer", "failure", "failure", "failure")
      driven.call.now += 5_000
      return driven
    }

    it("opening at the fifth call, when three have failed and two have succeeded", () => {
      const { make, state } = drive(options)
      make("answer", "failure", "answer", "failure")
      assert.strictEqual(state(), "Closed")
      make("failure")
      assert.strictEqual(state(), "Open")
    })

    it("opening at the fifth call, when three have been slow", () => {
      const { admit, call, make, state } = drive(options)
      for (let i = 0; i < 2; i++) admit().settle(call, slow)
      make("answer", "answer")
      assert.strictEqual(state(), "Closed")
      admit().settle(call, slow)
      assert.strictEqual(state(), "Open")
    })

    it("opening at a failure and never at an answer, where resilience4j opens at an answer too", () => {
      const { make, state } = drive(options)
      make("failure", "failure", "failure", "answer", "answer")
      assert.strictEqual(state(), "Closed")
      make("failure")
      assert.strictEqual(state(), "Open")
    })

    it("refusing a fifth probe", () => {
      const { admit, refusal } = opened()
      for (let i = 0; i < 4; i++) admit()
      assert.strictEqual(refusal()._tag, "CircuitOpen")
    })

    it("closing again when one probe of four has failed", () => {
      const { make, state } = opened()
      make("failure", "answer", "answer", "answer")
      assert.strictEqual(state(), "Closed")
    })

    it("reopening when most probes have failed: after the second of four, where resilience4j waits for all", () => {
      const { make, state } = opened()
      make("failure")
      assert.strictEqual(state(), "HalfOpen")
      make("failure")
      assert.strictEqual(state(), "Open")
    })

    it("giving back the permits of four ignored probes, so that four good ones close it", () => {
      const { make, state } = opened()
      make("interrupted", "interrupted", "interrupted", "interrupted")
      assert.strictEqual(state(), "HalfOpen")
      make("answer", "answer", "answer", "answer")
      assert.strictEqual(state(), "Closed")
    })

    it("staying open for 7.5 seconds when the probes after 5 seconds have failed", () => {
      const { make, refusal } = opened()
      make("failure", "failure")
      assert.strictEqual(refusal().retryAfterMillis, 7_500)
    })
  })

  describe("in the hands of an operator", () => {
    it("refuses everything while forced open, for all keys or one, and counts nothing", () => {
      for (const key of [undefined, "acme/charge"]) {
        const { breaker, call, end, admit, make, refusal } = drive({ trip: consecutive(1) })
        const running = admit()
        breaker.setMode("ForcedOpen", key)
        assert.strictEqual(refusal()._tag, "CircuitOpen")
        assert.strictEqual(refusal().retryAfterMillis, undefined)
        assert.strictEqual(
          breaker.admit(fakeCall({ key: "tenant" }))._tag,
          key === undefined ? "Refusal" : "Permit"
        )
        end(running, "answer")
        breaker.setMode("Automatic", key)
        make("answer")
        assert.strictEqual(breaker.state("acme/charge", call.now), "Closed")
      }
    })

    it("admits everything while disabled, for all keys or one, and counts nothing", () => {
      for (const key of [undefined, "acme/charge"]) {
        const { breaker, make, state } = drive({ trip: consecutive(2) })
        make("failure")
        breaker.setMode("Disabled", key)
        make("failure", "failure", "answer", "failure")
        assert.strictEqual(state(), "Closed")
        const tenant = fakeCall({ key: "tenant" })
        for (let i = 0; i < 2; i++) (breaker.admit(tenant) as Permit).settle(tenant, ending.failure)
        assert.strictEqual(breaker.state("acme/charge/tenant", 0), key === undefined ? "Closed" : "Open")
        breaker.setMode("Automatic", key)
        make("failure")
        assert.strictEqual(state(), "Open")
      }
    })

    it("admits the calls of an open breaker while disabled, and refuses them again afterwards", () => {
      const { breaker, make, refusal } = drive({ trip: consecutive(1) })
      make("failure")
      breaker.setMode("Disabled")
      make("answer")
      breaker.setMode("Automatic")
      assert.strictEqual(refusal().retryAfterMillis, 5_000)
    })

    it("admits everything while only observing, and still changes its state", () => {
      for (const key of [undefined, "acme/charge"]) {
        const { breaker, call, make, probing, state } = drive({ trip: consecutive(2), probes: [1, 2] })
        const seen: Array<string> = []
        breaker.onTransition(({ to }) => seen.push(to))
        breaker.setMode("ObserveOnly", key)
        make("failure", "failure")
        assert.strictEqual(state(), "Open")
        // Calls that an open breaker would have refused are no evidence.
        make("answer", "failure", "answer")
        call.now += 5_000
        const permits = Array.from({ length: 5 }, () => breaker.admit(call) as Permit)
        assert.isTrue(permits.every((permit) => permit._tag === "Permit"))
        assert.strictEqual(probing(), 1)
        for (const permit of permits) permit.settle(call, ending.answer)
        assert.strictEqual(state(), "HalfOpen")
        make("answer", "answer")
        assert.deepStrictEqual(seen, ["Open", "HalfOpen", "Closed"])
      }
    })

    it("keeps the mode of one key when the common mode changes", () => {
      const { breaker, refusal, make } = drive()
      breaker.setMode("Disabled", "acme/charge")
      breaker.setMode("ForcedOpen")
      make("answer")
      assert.strictEqual(breaker.admit(fakeCall({ key: "tenant" }))._tag, "Refusal")
      breaker.setMode("ForcedOpen", "acme/charge")
      breaker.setMode("Automatic", "acme/charge")
      make("answer")
      breaker.setMode("ForcedOpen", "acme/charge")
      assert.strictEqual(refusal()._tag, "CircuitOpen")
    })

    it("pins a key to its mode, even if it is the common one, until its own mode is cleared", () => {
      const { breaker, make, refusal } = drive()
      breaker.setMode("Automatic", "acme/charge")
      breaker.setMode("ForcedOpen")
      make("answer")
      breaker.clearMode("acme/charge")
      assert.strictEqual(refusal()._tag, "CircuitOpen")
    })

    it("reports every change of state with its key, until the listener unsubscribes", () => {
      const { breaker, call, make } = drive({ trip: consecutive(1), probes: [1] })
      const heard: Array<Breaker.Transition> = []
      const alsoHeard: Array<Breaker.Transition> = []
      const stop = breaker.onTransition((transition) => heard.push(transition))
      breaker.onTransition((transition) => alsoHeard.push(transition))
      make("answer", "failure")
      call.now += 5_000
      make("failure")
      call.now += 10_000
      make("answer", "answer")
      const key = "acme/charge"
      const all: ReadonlyArray<Breaker.Transition> = [
        { key, from: "Closed", to: "Open" },
        { key, from: "Open", to: "HalfOpen" },
        { key, from: "HalfOpen", to: "Open" },
        { key, from: "Open", to: "HalfOpen" },
        { key, from: "HalfOpen", to: "Closed" }
      ]
      assert.deepStrictEqual(heard, all)
      stop()
      make("failure")
      assert.deepStrictEqual(heard, all)
      assert.strictEqual(alsoHeard.length, all.length + 1)
    })
  })

  describe("by key", () => {
    it("opens for each operation and each key separately", () => {
      const { breaker, call, make, refusal } = drive({ trip: consecutive(1) })
      make("failure")
      assert.strictEqual(refusal()._tag, "CircuitOpen")
      for (const other of [{ key: "tenant" }, { operation: "refund" }, { vendor: "other" }]) {
        assert.strictEqual(breaker.admit(fakeCall({ now: call.now, ...other }))._tag, "Permit")
      }
      assert.strictEqual(breaker.size, 4)
    })

    it("opens for all calls with the same partition key", () => {
      const { breaker, call, make } = drive({ trip: consecutive(1), by: ({ vendor }) => vendor })
      make("failure")
      assert.strictEqual(breaker.admit(fakeCall({ now: call.now, operation: "refund", key: "tenant" }))._tag, "Refusal")
      assert.strictEqual(breaker.state("acme", call.now), "Open")
      assert.strictEqual(breaker.size, 1)
    })

    it("remembers at most maxKeys keys, and evicts the least recently used", () => {
      const { breaker, call, make } = drive({ trip: consecutive(1), maxKeys: 3 })
      const use = (key: string, ...endings: ReadonlyArray<Ending>) => {
        call.key = key
        call.now++
        make(...endings)
      }
      for (const key of ["a", "b", "c"]) use(key, "failure")
      call.now += 5_000
      for (const key of ["a", "c"]) use(key, "answer")
      use("d", "answer")
      assert.strictEqual(breaker.size, 3)
      assert.deepStrictEqual(
        ["a", "b", "c"].map((key) => breaker.state(`acme/charge/${key}`, call.now)),
        ["HalfOpen", "Closed", "HalfOpen"]
      )
      for (let i = 0; i < 1_000; i++) use(`key ${i}`, "answer")
      assert.strictEqual(breaker.size, 3)
    })

    it("by default remembers ten thousand keys, for an hour", () => {
      const { breaker, call, make } = drive({ trip: consecutive(1) })
      for (let i = 0; i < 10_100; i++) {
        call.key = `key ${i}`
        make("answer")
      }
      assert.strictEqual(breaker.size, 10_000)
      call.now += hour - 1
      for (let i = 0; i < 256; i++) make("answer")
      assert.strictEqual(breaker.size, 10_000)
      call.now += 1
      for (let i = 0; i < 256; i++) make("answer")
      assert.isBelow(breaker.size, 10_000)
    })

    it("returns to maxKeys when the calls that made it exceed them have ended", () => {
      const { admit, breaker, call, end, make } = drive({
        trip: consecutive(1),
        maxKeys: 2,
        openFor: hour,
        maxOpenFor: hour
      })
      const running = Array.from({ length: 6 }, (_, i) => {
        call.key = `busy ${i}`
        return admit()
      })
      assert.strictEqual(breaker.size, 6)
      for (const permit of running) end(permit, "answer")
      call.key = "busy 0"
      make("failure")
      for (let i = 0; i < 512; i++) {
        call.now++
        assert.strictEqual(breaker.admit(call)._tag, "Refusal", `call ${i}`)
      }
      assert.strictEqual(breaker.size, 2)
    })

    it("evicts no key when there are exactly maxKeys, for any number of calls", () => {
      const keys = ["a", "b", "c"]
      const { breaker, call, make } = drive({
        trip: consecutive(1),
        maxKeys: keys.length,
        openFor: hour,
        maxOpenFor: hour
      })
      call.key = "a"
      make("failure")
      for (let i = 0; i < 300; i++) {
        for (const key of keys) {
          call.key = key
          call.now++
          if (key === "a") assert.strictEqual(breaker.admit(call)._tag, "Refusal", `round ${i}`)
          else make("answer")
        }
      }
      assert.strictEqual(breaker.size, 3)
    })

    it("does not evict a key while its calls are running, for any number of later keys", () => {
      const { admit, breaker, call, end, make } = drive({ trip: consecutive(2), maxKeys: 2, idle: "1 minute" })
      call.key = "busy"
      make("failure")
      const running = admit()
      for (let i = 0; i < 100; i++) {
        call.key = `key ${i}`
        call.now += 60_000
        make("answer")
      }
      call.key = "busy"
      end(running, "failure")
      assert.strictEqual(breaker.state("acme/charge/busy", call.now), "Open")
    })

    it("evicts keys whose calls were interrupted or never started like any other", () => {
      const { breaker, call, make } = drive({ maxKeys: 2 })
      for (let i = 0; i < 10; i++) {
        call.key = `key ${i}`
        make("interrupted", "cancel")
      }
      assert.strictEqual(breaker.size, 2)
    })

    it("evicts a key that was not used for its idle time", () => {
      const { breaker, call, make } = drive({ trip: consecutive(2), idle: "1 minute" })
      call.key = "idle"
      make("failure")
      call.now += 59_999
      call.key = "a"
      make("answer")
      assert.strictEqual(breaker.size, 2)
      call.now += 1
      call.key = "b"
      make("answer")
      assert.strictEqual(breaker.size, 2)
      call.key = "idle"
      make("failure")
      assert.strictEqual(breaker.state("acme/charge/idle", call.now), "Closed")
    })

    it("starts afresh with a key that returns after its idle time, and remembers it from then on", () => {
      for (let callsBefore = 0; callsBefore < 130; callsBefore++) {
        const { breaker, call, make } = drive({ trip: consecutive(1), idle: "1 minute" })
        for (let i = 0; i < callsBefore; i++) make("answer")
        call.now += 60_000
        make("failure")
        assert.strictEqual(breaker.state("acme/charge", call.now), "Open", `after ${callsBefore} calls`)
        assert.strictEqual(breaker.size, 1, `after ${callsBefore} calls`)
        assert.strictEqual(breaker.admit(fakeCall({ now: call.now, key: "other" }))._tag, "Permit")
        assert.strictEqual(breaker.admit(call)._tag, "Refusal", `after ${callsBefore} calls`)
      }
    })
  })

  it("rejects options out of their range, and names them", () => {
    const cases: ReadonlyArray<[Breaker.BreakerOptions, RegExp]> = [
      [{ growth: 0.9 }, /growth must be at least 1 and finite, got 0.9/],
      [{ growth: NaN }, /growth .* NaN/],
      [{ slowCall: 0 }, /slowCall must be longer than 0 and finite, got 0 ms/],
      [{ openFor: -1 }, /openFor must be at least 0 and finite, got -1 ms/],
      [{ openFor: Infinity }, /openFor .* got Infinity ms/],
      [{ openFor: "10 seconds", maxOpenFor: "5 seconds" }, /maxOpenFor \(ms\) must be at least 10000 .* got 5000/],
      [{ maxOpenFor: Infinity }, /maxOpenFor .* finite, got Infinity/],
      [{ idle: 0 }, /idle must be longer than 0/],
      [{ probes: [] }, /probes must be whole numbers above 0, one per stage, got \[\]/],
      [{ probes: [1, 0] }, /probes .* got \[1, 0\]/],
      [{ probes: [1.5] }, /probes .* got \[1.5\]/],
      [{ probeTimeout: 0 }, /probeTimeout must be longer than 0/],
      [{ maxKeys: 0 }, /maxKeys must be a whole number of at least 1, got 0/],
      [{ maxKeys: NaN }, /maxKeys .* NaN/],
      [{ trip: consecutive(0) }, /failures must be a whole number of at least 1, got 0/],
      [{ trip: consecutive(1.5) }, /failures .* 1.5/],
      [{ trip: { _tag: "CountWindow", size: 0 } }, /size .* got 0/],
      [{ trip: { _tag: "CountWindow", size: 10, minimumCalls: 11 } }, /window of 10 calls .* minimumCalls 11/],
      [{ trip: { _tag: "CountWindow", minimumCalls: 0 } }, /minimumCalls .* got 0/],
      [{ trip: { _tag: "TimeWindow", minimumCalls: -1 } }, /minimumCalls .* got -1/],
      [{ trip: { _tag: "TimeWindow", buckets: 0 } }, /buckets .* got 0/],
      [{ trip: { _tag: "TimeWindow", window: 0 } }, /window must be longer than 0/],
      [{ trip: { _tag: "TimeWindow", failureRate: 0 } }, /failureRate must be more than 0 and at most 1, got 0/],
      [{ trip: { _tag: "TimeWindow", failureRate: 1.01 } }, /failureRate .* got 1.01/],
      [{ trip: { _tag: "CountWindow", failureRate: NaN } }, /failureRate .* NaN/],
      [{ trip: { _tag: "TimeWindow", slowCallRate: 0 } }, /slowCallRate .* got 0/],
      [{ trip: { _tag: "CountWindow", slowCallRate: 2 } }, /slowCallRate .* got 2/]
    ]
    for (const [options, message] of cases) {
      assert.throws(() => Breaker.make(options), message)
    }
    Breaker.make({ growth: 1, probes: [1], maxKeys: 1, trip: { _tag: "CountWindow", size: 1, minimumCalls: 1 } })
    Breaker.make({ trip: { _tag: "TimeWindow", minimumCalls: 1, failureRate: 1, slowCallRate: 1, buckets: 1 } })
  })
})
