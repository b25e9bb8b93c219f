/**
 * Hours in milliseconds: for a run, timers, clocks and `Math.random` of this process are replaced by ones of a virtual
 * time, so that libraries run as they are published. Time stands still while anything can happen, then jumps to the next
 * timer. One timer fires at a time, and all that follows from it happens before the next, as in Node.
 */
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import { Agenda } from "./Agenda.ts"

interface Handle {
  ref(): Handle
  unref(): Handle
  hasRef(): boolean
  refresh(): Handle
  close(): Handle
  [Symbol.toPrimitive](): number
}

export interface Options {
  /** The seed of `Math.random`. @default 1 */
  readonly seed?: number
  /**
   * Timers fire up to so many milliseconds early, as Node's do by `performance.now`: it counts from whole milliseconds of
   * its loop. @default 0
   */
  readonly earlyMillis?: number
}

const hourMillis = 3_600_000

/**
 * Virtual time never goes back, even between runs, because some libraries remember the last time they saw. A run begins at
 * a whole hour, so that earlier runs do not change it.
 */
let now = hourMillis

/** The value of `Date.now` at 0: later than the load time of every library. */
const dateOrigin = Date.UTC(2100, 0)

/** A span in steps of 1/1024 ms: sums of these are exact, so that an hour more on the clock changes nothing. */
const onGrid = (millis: number) => Math.ceil(millis * 1_024) / 1_024

/** Future events of the present run. */
let running = new Agenda()

/**
 * How long a run goes on after its end: libraries have timers for all their calls together, which stop when there are no
 * more calls; were one lost, the library would wait for it in the next run. It is longer than any limit of a call.
 */
const settlingMillis = 60_000

/** Runs `main` in virtual time, until it has ended and its leftovers have settled. Later timers never fire. */
export const inVirtualTime = async <A>(main: () => Promise<A>, options: Options = {}): Promise<A> => {
  now = Math.ceil(now / hourMillis + 1) * hourMillis
  const random = seededRandom(options.seed ?? 1)
  const early = seededRandom((options.seed ?? 1) + 7)
  const earlyMillis = options.earlyMillis ?? 0
  const agenda = running = new Agenda()
  const live = new Map<number, () => void>()
  let immediates = new Map<number, () => void>()
  let ids = 0

  const handle = (id: number, begin: () => void): Handle => {
    const self: Handle = {
      ref: () => self,
      unref: () => self,
      hasRef: () => true,
      refresh() {
        begin()
        return self
      },
      close() {
        live.delete(id)
        return self
      },
      [Symbol.toPrimitive]: () => id
    }
    return self
  }
  const arm = (id: number, f: () => void, millis: number) => {
    const due = now + onGrid(millis - early() * earlyMillis)
    live.set(id, f)
    agenda.add(due, () => {
      if (live.get(id) === f) f()
    })
  }
  // Node's own rules for a delay.
  const whole = (millis: number | undefined) => {
    const given = Number(millis)
    return given >= 1 && given <= 2 ** 31 - 1 ? Math.trunc(given) : 1
  }
  const setTimeout = (f: (...given: ReadonlyArray<unknown>) => void, millis?: number, ...given: Array<unknown>) => {
    const id = ++ids
    const begin = () =>
      arm(id, () => {
        live.delete(id)
        f(...given)
      }, whole(millis))
    begin()
    return handle(id, begin)
  }
  const setInterval = (f: (...given: ReadonlyArray<unknown>) => void, millis?: number, ...given: Array<unknown>) => {
    const id = ++ids
    const begin = () =>
      arm(id, () => {
        begin()
        f(...given)
      }, whole(millis))
    begin()
    return handle(id, begin)
  }
  const clear = (timer: unknown) => {
    if (timer !== undefined && timer !== null) live.delete(Number(timer))
  }
  const setImmediate = (f: (...given: ReadonlyArray<unknown>) => void, ...given: Array<unknown>) => {
    const id = ++ids
    immediates.set(id, () => f(...given))
    return handle(id, () => {})
  }

  const restores = [
    replace(globalThis, "setTimeout", setTimeout),
    replace(globalThis, "clearTimeout", clear),
    replace(globalThis, "setInterval", setInterval),
    replace(globalThis, "clearInterval", clear),
    replace(globalThis, "setImmediate", setImmediate),
    replace(globalThis, "clearImmediate", (timer: unknown) => immediates.delete(Number(timer))),
    replace(Date, "now", () => Math.floor(dateOrigin + now)),
    replace(performance, "now", () => now),
    replace(process.hrtime, "bigint", () => BigInt(Math.round(now * 1e6))),
    replace(Math, "random", random),
    // Hundreds of thousands of errors, whose stack traces are never read.
    replace(Error, "stackTraceLimit", 0)
  ]
  try {
    return await new Promise<A>((resolve, reject) => {
      let end: (() => void) | undefined
      let until = Infinity
      const over = (how: () => void) => {
        end = how
        until = now + settlingMillis
      }
      main().then((value) => over(() => resolve(value)), (error: unknown) => over(() => reject(error)))
      const step = () => {
        try {
          if (immediates.size > 0) {
            const due = immediates
            immediates = new Map()
            for (const f of due.values()) f()
          } else {
            const next = agenda.next()
            if (end !== undefined && (next === undefined || next.at > until)) return end()
            if (next === undefined) throw new Error("nothing is left that could happen, and the run has not ended")
            // A timer that is early is early by the clock, and the clock does not go back for it.
            now = Math.max(now, next.at)
            next.act()
          }
        } catch (error) {
          return reject(error)
        }
        settle(step)
      }
      settle(step)
    })
  } finally {
    for (const restore of restores) restore()
  }
}

/** Calls `then` when no promise has anything left to do: ticks are served when the queue of microtasks is empty. */
const settle = (then: () => void) => queueMicrotask(() => process.nextTick(then))

const replace = (target: object, name: string, by: unknown): () => void => {
  const before = Object.getOwnPropertyDescriptor(target, name)
  Object.defineProperty(target, name, { value: by, configurable: true, writable: true })
  return () => {
    if (before === undefined) Reflect.deleteProperty(target, name)
    else Object.defineProperty(target, name, before)
  }
}

/** Does something later in virtual time; to the fraction of a millisecond, which a timer of Node's is not. */
export const after = (millis: number, act: () => void): void => running.add(now + onGrid(millis), act)

/** Waits in virtual time. */
export const pause = (millis: number): Promise<void> => new Promise((resolve) => after(millis, resolve))
