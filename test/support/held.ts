/** What a process holds on to: a test sees that it is no more than before. */
import { assert } from "@effect/vitest"
import { Effect, Metric, Schedule } from "effect"
import { createHook } from "node:async_hooks"
import { syncBuiltinESMExports } from "node:module"
import type { Transform } from "node:stream"
import zlib from "node:zlib"
import { until } from "./until.ts"

/** Who has set the timers that wait, but for those of the runner, which come and go as it likes. */
const timers = new Map<number, string>()
/** Sockets that are not closed, also those that would not keep the process alive. */
const sockets = new Set<number>()
createHook({
  init(id, type) {
    if (type === "TCPWRAP") sockets.add(id)
    if (type !== "Timeout") return
    const setBy = new Error().stack?.split("\n").slice(1).find((frame) => !/node:|held\.ts/.test(frame)) ?? ""
    if (!/@vitest|\/vitest\//.test(setBy)) timers.set(id, setBy.trim())
  },
  destroy(id) {
    timers.delete(id)
    sockets.delete(id)
  }
}).enable()

/** Unpackers that are made from now on, also by modules that are loaded already. */
const unpackers = new Set<Transform>()
const makers = [
  "createBrotliDecompress",
  "createGunzip",
  "createInflate",
  "createInflateRaw",
  "createZstdDecompress"
] as const
for (const maker of makers) {
  const make: (options?: object) => Transform = zlib[maker]
  Object.defineProperty(zlib, maker, {
    value: (options?: object) => {
      const unpacker = make(options)
      unpackers.add(unpacker)
      return unpacker
    }
  })
}
syncBuiltinESMExports()

/** undici has one clock for all its long timers, which stops within half a second when there are none (8.12). */
const isClock = (setBy: string) => /\/undici\/lib\/util\/timers\.js/.test(setBy)

/** Sockets that are open or on their way, timers that wait, unpackers that are not closed, and fibres that are alive. */
export interface Held {
  readonly sockets: number
  /** Who has set them. */
  readonly timers: ReadonlyArray<string>
  readonly unpackers: number
  readonly fibers: number
}

export const held: Effect.Effect<Held> = Effect.gen(function*() {
  // A timer that goes off is there until the turn ends, also the one that led here.
  yield* Effect.callback<void>((resume) => {
    setImmediate(() => resume(Effect.void))
  })
  for (const unpacker of unpackers) if (unpacker.destroyed) unpackers.delete(unpacker)
  const resources = process.getActiveResourcesInfo()
  const count = (name: RegExp) => resources.filter((resource) => name.test(resource)).length
  const fibers = (yield* Metric.snapshot).find(({ id }) => id === "child_fibers_active")
  return {
    sockets: sockets.size + count(/^(?:TCPConnectWrap|GetAddrInfoReqWrap)$/),
    timers: Array.from(timers.values()).filter((setBy) => !isClock(setBy)),
    unpackers: unpackers.size,
    fibers: fibers?.type === "Gauge" ? Number(fibers.state.value) : 0
  }
})

/** Waits until something is being unpacked. */
export const unpacking: Effect.Effect<void> = until(
  "something is unpacked",
  () => Array.from(unpackers).some(({ destroyed }) => !destroyed)
)

/** Waits until no more is held than was: the other side lets go a moment after us. */
export const noMoreThan = (before: Held): Effect.Effect<void> =>
  Effect.gen(function*() {
    const now = yield* held.pipe(
      Effect.repeat({
        until: (now) =>
          now.sockets <= before.sockets && now.timers.length <= before.timers.length &&
          now.unpackers <= before.unpackers &&
          now.fibers <= before.fibers,
        schedule: Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(300)])
      }),
      Effect.andThen(held)
    )
    assert.isAtMost(now.sockets, before.sockets, "sockets")
    assert.isAtMost(now.timers.length, before.timers.length, `timers, set ${now.timers.join(", ")}`)
    assert.isAtMost(now.unpackers, before.unpackers, "unpackers")
    assert.isAtMost(now.fibers, before.fibers, "fibres")
  })

/** Counts fibres, in a registry of its own. */
export const counted = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.provide(Metric.enableRuntimeMetricsLayer),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

/** Waits until undici's clock has stopped: none of its timers is left over. */
export const clockStops: Effect.Effect<void> = until(
  "undici has no timer any more",
  () => !Array.from(timers.values()).some(isClock)
)
