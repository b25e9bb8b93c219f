import * as SharedState from "@breakwater/core/fleet/SharedState"
import * as RateLimit from "@breakwater/core/policies/RateLimit"
import * as Stack from "@breakwater/core/stack/Stack"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Layer, Scope } from "effect"
import { json, serve } from "../../fakes/ScriptedServer.ts"
import * as Fleet from "../../processes/Fleet.ts"
import * as RealRedis from "../../processes/RealRedis.ts"
import { patience } from "../../watches/Patience.ts"
import { until } from "../../watches/Until.ts"

/** Permits that every process takes ahead and may not use: a tenth of the limit of sixty. */
const unused = 3 * 6

const everywhere = <X>(members: ReadonlyArray<Fleet.Member>, tell: (member: Fleet.Member) => Effect.Effect<X>) =>
  Effect.forEach(members, tell, { concurrency: "unbounded" })

/** Calls until one is answered. */
const isBack = (member: Fleet.Member) =>
  member.calls("frail", 1).pipe(
    Effect.repeat({ until: ({ counts }) => counts["Answered"] === 1 }),
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.die(new Error("a process never calls the vendor again"))
    })
  )

describe.runIf(RealRedis.isInstalled)("three processes that share a Redis", () => {
  it.live(
    "keep to one limit; each keeps to its part, without a failed call, while Redis is killed; then to one again",
    () =>
      Effect.gen(function*() {
        const vendor = yield* serve(() => json({ rate: 1.0842 }))
        const reached = (operation: string) => vendor.seen.filter(({ url }) => url === `/${operation}`).length
        const redis = yield* RealRedis.start()
        const fleet = yield* Fleet.start(vendor.baseUrl, redis.url)

        const together = yield* everywhere(fleet, (member) => member.calls("before", 100))
        assert.isAtMost(reached("before"), 60)
        assert.isAtLeast(reached("before"), 60 - unused)
        for (const { counts } of together) {
          assert.strictEqual((counts["Answered"] ?? 0) + (counts["RateLimitExceeded"] ?? 0), 100)
        }

        yield* everywhere(fleet, (member) => member.load("busy"))
        yield* until("the load has begun", () => reached("busy") > 100)
        yield* redis.kill
        const killedAt = reached("busy")
        const apart = yield* everywhere(fleet, (member) => member.calls("during", 100))
        assert.strictEqual(reached("during"), 60)
        for (const { counts } of apart) assert.strictEqual(counts["RateLimitExceeded"], 80)
        yield* until("the load goes on", () => reached("busy") > killedAt + 100)

        const found = everywhere(fleet, (member) => member.says("works again"))
        yield* Effect.all([found, RealRedis.start(redis.port)], { concurrency: 2 })
        for (const { counts } of yield* everywhere(fleet, ({ rest }) => rest)) {
          assert.hasAllKeys(counts, ["Answered"])
        }

        yield* everywhere(fleet, (member) => member.calls("after", 100))
        assert.isAtMost(reached("after"), 60)
        assert.isAtLeast(reached("after"), 60 - unused)
      })
  )

  it.live(
    "probe separately when Redis is killed, and recover",
    () =>
      Effect.gen(function*() {
        let isDown = false
        const vendor = yield* serve(() => isDown ? json({}, 503) : json({ rate: 1.0842 }))
        const redis = yield* RealRedis.start()
        const fleet = yield* Fleet.start(vendor.baseUrl, redis.url)
        yield* everywhere(fleet, (member) => member.calls("frail", 1))
        isDown = true
        yield* everywhere(fleet, (member) => member.calls("frail", 2))
        yield* redis.kill
        for (const { counts } of yield* everywhere(fleet, (member) => member.calls("frail", 5))) {
          assert.deepStrictEqual(counts, { CircuitOpen: 5 })
        }
        isDown = false
        yield* everywhere(fleet, isBack)
      })
  )

  it.live(
    "probe a vendor that is down one at a time, and recover together",
    () =>
      Effect.gen(function*() {
        let isDown = false
        const probes: Array<number> = []
        const vendor = yield* serve(() => {
          if (isDown) probes.push(performance.now())
          return isDown ? json({}, 503) : json({ rate: 1.0842 })
        })
        const redis = yield* RealRedis.start()
        const fleet = yield* Fleet.start(vendor.baseUrl, redis.url)
        yield* everywhere(fleet, (member) => member.load("frail"))
        yield* until("all have called", () => vendor.seen.length > 30)

        isDown = true
        // Each opens after two failures of its own.
        const opening = 3 * 2
        yield* until("the fleet has probed", () => probes.length >= opening + 5)
        const gaps = probes.slice(opening + 1).map((at, index) => at - probes[opening + index]!)
        for (const gap of gaps) assert.isAtLeast(gap, 0.9 * 500)

        isDown = false
        for (const { counts } of yield* everywhere(fleet, ({ rest }) => rest)) {
          const { Answered = 0, CircuitOpen = 0, Unavailable = 0, ...others } = counts
          assert.deepStrictEqual(others, {})
          assert.isTrue(Answered > 0 && CircuitOpen > 0 && Unavailable >= 2)
        }
        yield* everywhere(fleet, isBack)
        for (const { counts } of yield* everywhere(fleet, (member) => member.calls("frail", 10))) {
          assert.deepStrictEqual(counts, { Answered: 10 })
        }
      })
  )
})

describe.runIf(RealRedis.isInstalled)("state in Redis", () => {
  /** The fleet as a process sees it whose clock is ahead by so many milliseconds. */
  const join = (url: string, aheadMillis = 0, namespace = "blue") =>
    Effect.gen(function*() {
      const redis = NodeRedis.layer({ url, disableOfflineQueue: true })
      const context = yield* Layer.build(
        Layer.provide(SharedState.layerRedis({ namespace, timeout: "1 second" }), redis)
      )
      const clock = yield* Effect.clockWith(Effect.succeed)
      const skewed: Clock.Clock = Object.create(clock, {
        currentTimeMillisUnsafe: { value: () => clock.currentTimeMillisUnsafe() + aheadMillis },
        currentTimeMillis: { get: () => Effect.map(clock.currentTimeMillis, (millis) => millis + aheadMillis) }
      })
      return {
        fleet: Context.get(context, SharedState.SharedState)!,
        on: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          effect.pipe(Effect.provideContext(context), Effect.provideService(Clock.Clock, skewed))
      }
    })

  it.live("counts the processes of the fleet, and forgets those that have ended", () =>
    Effect.gen(function*() {
      const redis = yield* RealRedis.start()
      const one = yield* join(redis.url)
      yield* join(redis.url, 0, "another-deployment")
      const scope = yield* Scope.make()
      const others = yield* Scope.provide(Effect.all([join(redis.url), join(redis.url)]), scope)
      yield* until("all have counted three", () => [one, ...others].every(({ fleet }) => fleet.processes === 3))
      yield* Scope.close(scope, Exit.void)
      yield* until("the rest has counted one", () => one.fleet.processes === 1)
    }).pipe(Effect.scoped))

  for (const [name, aheadMillis] of [["an hour ahead", 3_600_000], ["an hour behind", -3_600_000]] as const) {
    it.live(`keeps a limit by its own clock, also with a process whose clock is ${name}`, () =>
      Effect.gen(function*() {
        const redis = yield* RealRedis.start()
        const [right, wrong] = [yield* join(redis.url), yield* join(redis.url, aheadMillis)]
        const limitOf = (process: typeof right) => {
          const rateLimit = RateLimit.make({ limit: 3, window: "1 second", maxWait: "20 seconds" })
          const policy = { rateLimit, bulkhead: false, retry: false, deadline: "30 seconds" } as const
          const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Unsafe", policy })
          const ring = process.on(Effect.asVoid(stack.guard(Effect.void, () => undefined)))
          return Effect.as(process.on(rateLimit.share("acme")), { ring })
        }
        const [here, there] = [yield* limitOf(right), yield* limitOf(wrong)]
        const begin = performance.now()
        // In turns, so that each follows on the other's count.
        for (let i = 0; i < 4; i++) yield* Effect.andThen(there.ring, here.ring)
        // Eight calls of three a second, and three at once.
        assert.isAtLeast(performance.now() - begin, 1_000 * (8 - 3 - 1) / 3)
      }).pipe(Effect.scoped))
  }
})
