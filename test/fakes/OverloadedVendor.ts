/**
 * A vendor with a capacity, in virtual time, and callers that send more than it can serve through a gate. It serves a
 * number of calls at once and queues the others in order. When the queue is full it rejects calls at once. A caller gives
 * up after a time, but the vendor finishes every accepted call, as real ones do.
 */
import type { Admission, Gate, Permit, Wait } from "@breakwater/core/Gate"
import * as Outcome from "@breakwater/core/Outcome"
import { Timeout, Unavailable } from "@breakwater/core/Reason"
import { type FakeCall, fakeCall } from "../drivers/FakeCall.ts"

export interface Overload {
  readonly gate: Gate
  /** Calls a second. */
  readonly rate: number | ((now: number) => number)
  readonly seconds: number
  /** Calls the vendor serves at once. */
  readonly capacity: number | ((now: number) => number)
  /** The duration of one call. */
  readonly serviceMillis: (random: () => number) => number
  /** Calls that may wait inside it. */
  readonly queue: number
  readonly timeoutMillis: number
  /** Properties of the calls. */
  readonly call?: (random: () => number) => Partial<FakeCall>
  /** Told at the end of every second. */
  readonly observe?: (second: Second) => void
}

export interface Second {
  readonly now: number
  readonly answered: number
  readonly dropped: number
  readonly refused: number
  /** The mean time that answers took. */
  readonly rttMillis: number
}

/** Uniform numbers from a seed (Marsaglia's xorshift, 32 bits). */
export const seeded = (seed: number) => {
  let x = seed | 0 || 1
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
}

/** Agenda of future events, soonest first (a binary heap). */
class Agenda {
  private readonly heap: Array<{ readonly at: number; readonly order: number; readonly act: () => void }> = []
  private order = 0

  get length() {
    return this.heap.length
  }
  add(at: number, act: () => void) {
    const { heap } = this
    heap.push({ at, order: this.order++, act })
    for (let i = heap.length - 1; i > 0;) {
      const parent = (i - 1) >> 1
      if (!this.isBefore(i, parent)) break
      this.swap(i, parent)
      i = parent
    }
  }
  next() {
    const { heap } = this
    const first = heap[0]!
    const last = heap.pop()!
    if (heap.length > 0) {
      heap[0] = last
      for (let i = 0;;) {
        const left = 2 * i + 1
        if (left >= heap.length) break
        const soonest = left + 1 < heap.length && this.isBefore(left + 1, left) ? left + 1 : left
        if (!this.isBefore(soonest, i)) break
        this.swap(i, soonest)
        i = soonest
      }
    }
    return first
  }
  private isBefore(a: number, b: number) {
    const [one, other] = [this.heap[a]!, this.heap[b]!]
    return one.at < other.at || (one.at === other.at && one.order < other.order)
  }
  private swap(a: number, b: number) {
    const one = this.heap[a]!
    this.heap[a] = this.heap[b]!
    this.heap[b] = one
  }
}

/** Plays it from begin to end. */
export const overload = (options: Overload, seed = 1): void => {
  const random = seeded(seed)
  const agenda = new Agenda()
  const at = (setting: number | ((now: number) => number)) => typeof setting === "number" ? setting : setting(now)
  let now = 0
  let busy = 0
  const inside: Array<() => void> = []
  let [answered, dropped, refused, sum] = [0, 0, 0, 0]

  const serveNext = () => {
    while (busy < at(options.capacity) && inside.length > 0) {
      busy++
      const done = inside.shift()!
      agenda.add(now + options.serviceMillis(random), () => {
        busy--
        done()
        serveNext()
      })
    }
  }
  const begin = (call: FakeCall, permit: Permit) => {
    const startedAt = now
    let isOver = false
    const end = (outcome: Outcome.Outcome) => {
      if (isOver) return
      isOver = true
      if (outcome.reason === undefined) {
        answered++
        sum += outcome.durationMillis
      } else dropped++
      call.now = now
      permit.settle(call, outcome)
    }
    if (inside.length >= options.queue && busy >= at(options.capacity)) {
      agenda.add(now + 1, () => end(Outcome.failed(1, new Unavailable(503))))
      return
    }
    inside.push(() => end(Outcome.answered(now - startedAt)))
    const limit = options.timeoutMillis
    agenda.add(now + limit, () => end(Outcome.failed(limit, new Timeout("Headers", limit))))
    serveNext()
  }
  const waitFor = (call: FakeCall, wait: Wait) => {
    let isOver = false
    wait.onTurn((delay) =>
      agenda.add(now + delay, () => {
        if (isOver) return
        call.now = now
        const claimed = wait.claim(call)
        if (typeof claimed === "number") return
        isOver = true
        if (claimed._tag === "Permit") begin(call, claimed)
        else refused++
      })
    )
    agenda.add(now + wait.limitMillis, () => {
      if (isOver) return
      isOver = true
      call.now = now
      wait.cancel(call)
      refused++
    })
  }
  const arrive = () => {
    const call = fakeCall({ now, random, ...options.call?.(random) })
    const admission: Admission = options.gate.admit(call)
    if (admission._tag === "Permit") begin(call, admission)
    else if (admission._tag === "Wait") waitFor(call, admission)
    else refused++
    // Calls come independently of each other.
    agenda.add(now - Math.log(1 - random()) * 1_000 / at(options.rate), arrive)
  }
  const tell = () => {
    options.observe?.({ now, answered, dropped, refused, rttMillis: answered === 0 ? 0 : sum / answered })
    answered =
      dropped =
      refused =
      sum =
        0
    agenda.add(now + 1_000, tell)
  }
  agenda.add(0, arrive)
  agenda.add(1_000, tell)
  while (now < options.seconds * 1_000) {
    const next = agenda.next()
    now = next.at
    next.act()
  }
}
