/**
 * Timers of which most are cancelled before they are due: a hashed wheel (Varghese and Lauck, SOSP 1987, scheme 6). Adding
 * and cancelling is linking and unlinking; one `setTimeout` turns the wheel for all of them, and stops when it is empty.
 */
import type { Limited, Timer } from "../Timeline.ts"

/** The span of a slot, and by how much a timer can be late; a power of two, so that dividing by it is exact. */
const slotMillis = 8
/** Slots, a power of two; what is due after more than a revolution is passed over until then. */
const slotCount = 512
/** How many slots the wheel may sleep through. */
const longestSleep = 12

/**
 * The shortest time a timer of the wheel may be set for, in milliseconds: longer than the wheel ever sleeps, so that
 * adding never has to wake it.
 */
export const shortestMillis = slotMillis * (longestSleep + 1)

/** A timer, in the list of its slot. The slots themselves are the ends of their lists. */
class Link implements Timer {
  next: Link = this
  previous: Link = this
  // Declared: a number that was once undefined is boxed anew each time it is written.
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
  /** The number of the oldest slot that may still hold something due, counted from the origin of time. */
  private at = 0

  /** `now` is the time in milliseconds since an arbitrary origin. */
  constructor(now: () => number) {
    this.now = now
  }

  /** Tells at `due` or up to a slot later; `due` is at least {@link shortestMillis} away from `now`. */
  add(now: number, due: number, limited: Limited): Timer {
    const timer = new Link(due, limited)
    this.slot(Math.floor(due / slotMillis)).append(timer)
    if (!this.isTurning) {
      this.isTurning = true
      this.at = Math.floor(now / slotMillis)
      this.sleep(longestSleep)
    }
    return timer
  }

  private slot(number: number): Link {
    return this.slots[number & (slotCount - 1)]!
  }

  private sleep(slots: number): void {
    setTimeout(() => this.turn(), slots * slotMillis)
  }

  private turn(): void {
    const now = this.now()
    // The slot that is not over yet is looked at again next time.
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
    // One that is told may cancel another that is due as well.
    while (due.next !== due) {
      const timer = due.next
      timer.cancel()
      try {
        timer.limited.timeIsUp()
      } catch (thrown) {
        // As of a timer of its own: it is uncaught, and the others are told.
        queueMicrotask(() => {
          throw thrown
        })
      }
    }
    let slots = 0
    while (slots < longestSleep && this.isEmpty(last + slots)) slots++
    if (slots < longestSleep || this.slots.some((slot) => slot.next !== slot)) this.sleep(Math.max(1, slots))
    else this.isTurning = false
  }

  private isEmpty(number: number): boolean {
    const slot = this.slot(number)
    return slot.next === slot
  }
}
