/** Cost of a guard around work that costs nothing. */
import type { Policy } from "@breakwater/core/stack/Policy"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import { compare, type Contender, rowOf, type Samples } from "../compare.ts"
import * as Breakwater from "../guard/breakwater.ts"
import * as EffectParts from "../guard/effectParts.ts"
import { effectLoop, failureLoop, promiseLoop, rejectionLoop } from "../guard/loop.ts"
import * as Peers from "../guard/peers.ts"
import type { Row, Suite } from "../Suite.ts"

export const suite: Suite = {
  title: "Guard: what the stack costs around work that costs nothing",
  about:
    "The asynchronous no-op is a resolved promise, the synchronous one a constant. Both are called one after the other, " +
    "effects in one fibre. Ours is measured as a leaf (as a vendor's client runs; the bars are for this) and as `guard` " +
    "around any effect (which gives each attempt its own fibre, so that it can be cut off). The whole stack has a rate " +
    "limit, a breaker, timeouts of phase, attempt and operation, retries with a budget, a bulkhead, and metrics. " +
    "Everything runs in three processes, one after the other, and each row reports the middle one: the engine runs both " +
    "the bare effect and ours faster in some processes than in others.",
  processes: 3,
  run: async ({ quick }) => {
    const parts = await Effect.runPromise(EffectParts.make)
    const rows: Array<Row> = []
    const race = async (
      contenders: ReadonlyArray<Contender>,
      tell: (of: (name: string) => Samples) => ReadonlyArray<Row>,
      rounds = 11
    ) => {
      const samples = await compare(contenders, quick ? { rounds: 3, batchMillis: 20 } : { rounds, batchMillis: 25 })
      rows.push(...tell((name) => samples.find((sample) => sample.name === name)!))
    }

    await race(asynchronous(parts), (of) => [
      rowOf("async, leaf: whole stack / bare async effect", of("leaf"), of("bare"), { bar: 4 }),
      rowOf("async, leaf: whole stack / Effect's parts", of("leaf"), of("parts"), { bar: 0.1 }),
      rowOf("async, leaf: whole stack / cockatiel, cooperative", of("leaf"), of("cooperative"), { bar: 0.25 }),
      rowOf("async, leaf: whole stack / cockatiel, aggressive", of("leaf"), of("aggressive")),
      rowOf("async, leaf: whole stack / opossum", of("leaf"), of("opossum")),
      rowOf("async, leaf: whole stack / p-limit, p-retry, p-timeout", of("leaf"), of("promises")),
      rowOf("async, any effect: whole stack / bare async effect", of("effect"), of("bare")),
      rowOf("async, any effect: whole stack / Effect's parts", of("effect"), of("parts")),
      rowOf("async, any effect: whole stack / cockatiel, aggressive", of("effect"), of("aggressive")),
      rowOf("async, any effect: whole stack / cockatiel, cooperative", of("effect"), of("cooperative"))
    ], 21)
    await race(synchronous(parts), (of) => [
      rowOf("sync, leaf: whole stack / bare sync effect", of("leaf"), of("bare")),
      rowOf("sync, leaf: whole stack / Effect's parts", of("leaf"), of("parts")),
      rowOf("sync, any effect: whole stack / Effect's parts", of("effect"), of("parts")),
      rowOf("sync, leaf: whole stack / cockatiel, cooperative", of("leaf"), of("cooperative"))
    ])
    await race(gateByGate(parts), (of) => [
      rowOf("no gate, only limits of time / bare async effect", of("none"), of("bare")),
      ...gates.map(([name]) => rowOf(`only ${name} / bare async effect`, of(name), of("bare"))),
      rowOf("limits of time / Effect.timeout", of("none"), of("Effect.timeout")),
      rowOf("breaker / Effect's CircuitBreaker", of("breaker"), of("CircuitBreaker")),
      rowOf("bulkhead / Effect's Semaphore", of("bulkhead"), of("Semaphore")),
      rowOf("rate limit / Effect's RateLimiter", of("rate limit"), of("RateLimiter")),
      rowOf("retry / Effect.retry", of("retry"), of("Effect.retry"))
    ])
    await race(await refusals(), (of) => [
      rowOf("refusal, breaker / Effect's CircuitBreaker", of("breaker"), of("parts"), { bar: 0.05 }),
      rowOf("refusal, breaker / cockatiel", of("breaker"), of("cockatiel"), { bar: 0.25 }),
      rowOf("refusal, breaker / opossum", of("breaker"), of("opossum")),
      rowOf("refusal, breaker in the whole stack / Effect's CircuitBreaker", of("whole"), of("parts")),
      rowOf("refusal, breaker in the whole stack / cockatiel", of("whole"), of("cockatiel"))
    ])
    await race(failures(parts), (of) => [
      rowOf("failure, not repeated: leaf / Effect's parts", of("leaf"), of("parts")),
      rowOf("failure, not repeated: any effect / Effect's parts", of("effect"), of("parts")),
      rowOf("failure, not repeated: leaf / cockatiel", of("leaf"), of("cockatiel"))
    ])
    await race(retries(parts), (of) => [
      rowOf("failure, then success: leaf / Effect's parts", of("leaf"), of("parts")),
      rowOf("failure, then success: any effect / Effect's parts", of("effect"), of("parts")),
      rowOf("failure, then success: leaf / cockatiel", of("leaf"), of("cockatiel"))
    ])
    await race(interruptions(parts), (of) => [
      rowOf("interrupted while it runs: leaf / bare effect", of("leaf"), of("bare")),
      rowOf("interrupted while it runs: leaf / Effect's parts", of("leaf"), of("parts")),
      rowOf("interrupted while it runs: any effect / Effect's parts", of("effect"), of("parts")),
      rowOf("interrupted while it runs: leaf / cockatiel", of("leaf"), of("cockatiel"))
    ])
    return { rows, notes: [`Breakwater: ${ourSettings}`, EffectParts.settings, Peers.settings] }
  }
}

const ourSettings = "the defaults of `Policy.read` with `rateLimit: { limit: 1e8, algorithm: \"TokenBucket\" }` and " +
  "the meter that a vendor's client has; no tracer listens. Where calls fail, no breaker opens, and retries " +
  "have no pause."

const work = () => Promise.resolve(1)
const effect = Effect.promise(work)
const never = () => undefined

const wholeStack = Breakwater.stackOf("whole", Breakwater.whole, { meter: true })

const asynchronous = (parts: EffectParts.EffectParts): ReadonlyArray<Contender> => {
  const cooperative = Peers.cockatiel("Cooperative")
  const aggressive = Peers.cockatiel("Aggressive")
  const opossum = Peers.opossum(work)
  return [
    effectLoop("bare", effect),
    effectLoop("leaf", wholeStack.call(Breakwater.leafOf(work))),
    effectLoop("effect", wholeStack.guard(effect, never)),
    effectLoop("parts", parts.whole(effect)),
    promiseLoop("cooperative", () => cooperative.execute(work)),
    promiseLoop("aggressive", () => aggressive.execute(work)),
    promiseLoop("opossum", () => opossum.fire()),
    promiseLoop("promises", Peers.promises(work))
  ]
}

const synchronous = (parts: EffectParts.EffectParts): ReadonlyArray<Contender> => {
  const cooperative = Peers.cockatiel("Cooperative")
  const instant = Effect.sync(() => performance.timeOrigin)
  return [
    effectLoop("bare", instant),
    effectLoop("leaf", wholeStack.call(Breakwater.instantLeaf(1))),
    effectLoop("effect", wholeStack.guard(instant, never)),
    effectLoop("parts", parts.whole(instant)),
    promiseLoop("cooperative", () => cooperative.execute(() => 1))
  ]
}

const gates: ReadonlyArray<readonly [name: string, policy: Policy, metered?: Breakwater.Metered]> = [
  ["breaker", { breaker: {} }],
  ["bulkhead", { bulkhead: {} }],
  ["rate limit", { rateLimit: Breakwater.rateLimit }],
  ["retry", { retry: {}, retryBudget: {} }],
  ["metrics", {}, { meter: true }]
]

const gateByGate = (parts: EffectParts.EffectParts): ReadonlyArray<Contender> => [
  effectLoop("bare", effect),
  effectLoop("none", Breakwater.stackOf("none", Breakwater.bare).call(Breakwater.leafOf(work))),
  ...gates.map(([name, policy, metered]) =>
    effectLoop(
      name,
      Breakwater.stackOf(name, { ...Breakwater.bare, ...policy }, metered).call(Breakwater.leafOf(work))
    )
  ),
  effectLoop("Effect.timeout", parts.timeout(effect)),
  effectLoop("CircuitBreaker", parts.breaker(effect)),
  effectLoop("Semaphore", parts.bulkhead(effect)),
  effectLoop("RateLimiter", parts.rateLimit(effect)),
  effectLoop("Effect.retry", parts.retry(effect))
]

const refusals = async (): Promise<ReadonlyArray<Contender>> => {
  const breaker = { trip: { _tag: "Consecutive", failures: 1 }, openFor: "1 hour", maxOpenFor: "1 hour" } as const
  const alone = Breakwater.stackOf("open", { ...Breakwater.bare, breaker })
  const whole = Breakwater.stackOf("whole and open", { ...Breakwater.whole, breaker, retry: false }, { meter: true })
  const failing = Breakwater.leafOf(() => Promise.reject(new Error("busy")))
  await Effect.runPromise(Effect.all([Effect.exit(alone.call(failing)), Effect.exit(whole.call(failing))]))
  const circuit = await Effect.runPromise(EffectParts.openCircuit)
  const cockatiel = await Peers.openCockatiel()
  const opossum = Peers.openOpossum()
  return [
    failureLoop("breaker", alone.call(Breakwater.leafOf(work))),
    failureLoop("whole", whole.call(Breakwater.leafOf(work))),
    failureLoop("parts", circuit(effect)),
    rejectionLoop("cockatiel", () => cockatiel.execute(work)),
    rejectionLoop("opossum", () => opossum.fire())
  ]
}

/** A breaker that counts and never opens, and a budget that is never empty. */
const enduring: Policy = {
  ...Breakwater.whole,
  breaker: { trip: { _tag: "Consecutive", failures: Number.MAX_SAFE_INTEGER } },
  retryBudget: { ratio: 1, reserve: 1e9 }
}

const failures = (parts: EffectParts.EffectParts): ReadonlyArray<Contender> => {
  const stack = Breakwater.stackOf("failing", { ...enduring, retry: false }, { meter: true })
  const cockatiel = Peers.cockatielEager(0)
  const busy = new Error("busy")
  const failing = () => Promise.reject(busy)
  const failingEffect = Effect.tryPromise({ try: failing, catch: () => "busy" as const })
  return [
    failureLoop("leaf", stack.call(Breakwater.leafOf(failing))),
    failureLoop("effect", stack.guard(failingEffect, () => Breakwater.busy)),
    failureLoop("parts", parts.enduring(parts.timeout(failingEffect))),
    rejectionLoop("cockatiel", () => cockatiel.execute(failing))
  ]
}

const retries = (parts: EffectParts.EffectParts): ReadonlyArray<Contender> => {
  const stack = Breakwater.stackOf("flaky", { ...enduring, retry: { retries: 1, base: 0 } }, { meter: true })
  const cockatiel = Peers.cockatielEager(1)
  const busy = new Error("busy")
  const flaky = () => {
    let attempt = 0
    return () => ++attempt % 2 === 1 ? Promise.reject(busy) : Promise.resolve(1)
  }
  const flakyEffect = () => Effect.tryPromise({ try: flaky(), catch: () => "busy" as const })
  const work = flaky()
  return [
    effectLoop("leaf", stack.call(Breakwater.leafOf(flaky()))),
    effectLoop("effect", stack.guard(flakyEffect(), () => Breakwater.busy)),
    effectLoop("parts", parts.enduring(Effect.retry(parts.timeout(flakyEffect()), eager))),
    promiseLoop("cockatiel", () => cockatiel.execute(work))
  ]
}

const eager = Schedule.upTo(Schedule.forever, { times: 1 })

const interruptions = (parts: EffectParts.EffectParts): ReadonlyArray<Contender> => {
  const interrupted = <A, E>(name: string, self: Effect.Effect<A, E>) =>
    effectLoop(
      name,
      Effect.flatMap(
        Effect.forkChild(self, { startImmediately: true }),
        (fiber) => Effect.asVoid(Effect.exit(Fiber.interrupt(fiber)))
      )
    )
  const cockatiel = Peers.cockatiel("Aggressive")
  const aborted = () => {
    const controller = new AbortController()
    const call = cockatiel.execute(
      ({ signal }) =>
        new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true })),
      controller.signal
    )
    controller.abort()
    return call
  }
  return [
    interrupted("bare", Effect.never),
    interrupted("leaf", wholeStack.call(Breakwater.hangingLeaf)),
    interrupted("effect", wholeStack.guard(Effect.never, never)),
    interrupted("parts", parts.whole(Effect.never)),
    rejectionLoop("cockatiel", aborted)
  ]
}
