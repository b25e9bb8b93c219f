/** Resources that a process holds. A test checks that there are no more than before. */
import { assert } from "@effect/vitest"
import { Effect, Metric, Schedule } from "effect"
import { createHook } from "node:async_hooks"
import { syncBuiltinESMExports } from "node:module"
import type { Transform } from "node:stream"
import zlib from "node:zlib"
import { until } from "./Until.ts"

/** Pending timers with the code that set each, except those of the test runner. */
const timers = new Map<number, string>()
/** Open sockets, including those that would not keep the process alive. */
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

/** Decompressors created from now on, also by modules that are already loaded. */
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

/** undici has one clock for all its long timers. Without timers it stops within half a second (8.12). */
const isClock = (setBy: string) => /\/undici\/lib\/util\/timers\.js/.test(setBy)

/** Open sockets, timers and decompressors; pending connections and name lookups; live fibres. */
export interface Held {
  readonly sockets: ReadonlySet<number>
  /** Each with the code that set it. */
  readonly timers: ReadonlyMap<number, string>
  readonly unpackers: ReadonlySet<Transform>
  readonly connecting: number
  readonly fibers: number
}

export const held: Effect.Effect<Held> = Effect.gen(function*() {
  // A timer that fires exists until the turn ends, including the one that led here.
  yield* Effect.callback<void>((resume) => {
    setImmediate(() => resume(Effect.void))
  })
  for (const unpacker of unpackers) if (unpacker.destroyed) unpackers.delete(unpacker)
  const fibers = (yield* Metric.snapshot).find(({ id }) => id === "child_fibers_active")
  return {
    sockets: new Set(sockets),
    timers: new Map(Array.from(timers).filter(([, setBy]) => !isClock(setBy))),
    unpackers: new Set(unpackers),
    connecting: process.getActiveResourcesInfo().filter((name) => /^(?:TCPConnectWrap|GetAddrInfoReqWrap)$/.test(name))
      .length,
    fibers: fibers?.type === "Gauge" ? Number(fibers.state.value) : 0
  }
})

/** Waits until a decompression is running. */
export const unpacking: Effect.Effect<void> = until(
  "something is unpacked",
  () => Array.from(unpackers).some(({ destroyed }) => !destroyed)
)

/** Waits until all new resources are released: the other side releases its own a moment after us. */
export const noMoreThan = (before: Held): Effect.Effect<void> =>
  Effect.gen(function*() {
    const more = Effect.map(held, (now) => moreThan(before, now))
    yield* more.pipe(Effect.repeat({
      until: (found) => found.length === 0,
      schedule: Schedule.max([Schedule.spaced("10 millis"), Schedule.recurs(3_000)])
    }))
    assert.deepStrictEqual(yield* more, [])
  })

const moreThan = (before: Held, now: Held): ReadonlyArray<string> => [
  ...Array.from(now.sockets).filter((id) => !before.sockets.has(id)).map(() => "a socket"),
  ...Array.from(now.timers).filter(([id]) => !before.timers.has(id)).map(([, setBy]) => `a timer, set ${setBy}`),
  ...Array.from(now.unpackers).filter((unpacker) => !before.unpackers.has(unpacker)).map(() => "an unpacker"),
  ...now.connecting > before.connecting ? ["a connection or a name that is waited for"] : [],
  ...now.fibers > before.fibers ? ["a fibre"] : []
]

/** Counts fibres, in a registry of its own. */
export const counted = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  effect.pipe(
    Effect.provide(Metric.enableRuntimeMetricsLayer),
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

/** Waits until undici's clock has stopped, so that none of its timers is left. */
export const clockStops: Effect.Effect<void> = until(
  "undici has no timer any more",
  () => !Array.from(timers.values()).some(isClock)
)
