/**
 * Timers that are mostly cancelled before they are due: a hashed wheel (Varghese and Lauck, SOSP 1987, scheme 6). To
 * add or cancel a timer is to link or unlink it. One `setTimeout` turns the wheel for all timers, and stops when the
 * wheel is empty.
 */
import type { Limited, Timer } from "../Timeline.ts"

/** The span of a slot, and the most a timer can be late. A power of two, so that dividing by it is exact. */
const slotMillis = 8
/** Number of slots, a power of two. A timer due after more than one revolution is skipped until its own. */
const slotCount = 512
/** Number of slots the wheel may sleep through. */
const longestSleep = 12

/** A turn that comes later than this shows that the event loop was blocked. Our own judgement. */
const blockedAfterMillis = 50

/**
 * The shortest time a timer of the wheel may be set for, in milliseconds. It is longer than the wheel ever sleeps, so
 * that adding a timer never has to wake it.
 */
export const shortestMillis = slotMillis * (longestSleep + 1)

/** A timer, in the list of its slot. The slots themselves are the ends of their lists. */
class Link implements Timer {
  next: Link = this
  previous: Link = this
  // Declared, because V8 boxes a number field anew at each write if it was once undefined.
  declare readonly due: number
  declare readonly limited: Limited
  constructor(due: number, limited: Limited) {
    this.due = due
    this.limited = limited
  }

  append(link: Link): void {
    link.previous = this.previous
    link.next = this
    this.previous.next = link
    this.previous = link
  }
  cancel(): void {
    this.previous.next = this.next
    this.next.previous = this.previous
    this.next = this.previous = this
  }
}

const emptyList = () => new Link(Infinity, { timeIsUp() {} })

export class Wheel {
  private readonly now: () => number
  private readonly slots = Array.from({ length: slotCount }, emptyList)
  private isTurning = false
  /** The time for which the event loop had been blocked at the last turn. */
  private blocked = 0
  /** The time at which the next turn is due. */
  private turnsAt = 0
  /** The number of the oldest slot that may hold a due timer, counted from the origin of time. */
  private at = 0

  /** `now` returns the time in milliseconds since an arbitrary origin. */
  constructor(now: () => number) {
    this.now = now
  }

  /** Calls `timeIsUp` at `due` or up to a slot later; `due` is at least {@link shortestMillis} away from `now`. */
  add(now: number, due: number, limited: Limited): Timer {
    const timer = new Link(due, limited)
    this.slot(Math.floor(due / slotMillis)).append(timer)
    if (!this.isTurning) {
      this.isTurning = true
      this.at = Math.floor(now / slotMillis)
      this.sleep(now, longestSleep)
    }
    return timer
  }

  /** The time for which the event loop has been blocked while the wheel was turning, until a time just read. */
  blockedMillis(now: number): number {
    const late = now - this.turnsAt
    return this.isTurning && late > blockedAfterMillis ? this.blocked + late : this.blocked
  }

  private slot(number: number): Link {
    return this.slots[number & (slotCount - 1)]!
  }

  private sleep(now: number, slots: number): void {
    this.turnsAt = now + slots * slotMillis
    setTimeout(() => this.turn(), slots * slotMillis)
  }

  private turn(): void {
    const now = this.now()
    this.blocked = this.blockedMillis(now)
    this.turnsAt = now
    // The current slot is not over, so it is visited again next time.
    const last = Math.floor(now / slotMillis)
    const due = emptyList()
    for (let number = Math.max(this.at, last - slotCount + 1); number <= last; number++) {
      const slot = this.slot(number)
      for (let link = slot.next; link !== slot;) {
        const { next } = link
        if (link.due <= now) {
          link.cancel()
          due.append(link)
        }
        link = next
      }
    }
    this.at = last
    // A callback may cancel another timer that is also due.
    while (due.next !== due) {
      const timer = due.next
      timer.cancel()
      try {
        timer.limited.timeIsUp()
      } catch (thrown) {
        // Thrown as if from its own timer: the error is uncaught, and the other timers still run.
        queueMicrotask(() => {
          throw thrown
        })
      }
    }
    let slots = 0
    while (slots < longestSleep && this.isEmpty(last + slots)) slots++
    if (slots < longestSleep || this.slots.some((slot) => slot.next !== slot)) {
      this.sleep(this.now(), Math.max(1, slots))
    } else this.isTurning = false
  }

  private isEmpty(number: number): boolean {
    const slot = this.slot(number)
    return slot.next === slot
  }
}
