/**
 * Counts reads and writes of the links between a queue's waiters, so that a test can tell O(1) from O(n).
 * It throws as soon as there are more than `atMost`: a test of something quadratic fails, and does not hang.
 */
import type { Waiter } from "@breakwater/core/structures/WaitQueue"

export interface LinkCount {
  links: number
  readonly atMost: number
}

export const countLinks = (waiter: Waiter, count: LinkCount): void => {
  const touch = () => {
    if (++count.links > count.atMost) throw new Error(`more than ${count.atMost} links were touched`)
  }
  for (const link of ["next", "previous"] as const) {
    let neighbour = waiter[link]
    Object.defineProperty(waiter, link, {
      get() {
        touch()
        return neighbour
      },
      set(waiter: Waiter | undefined) {
        touch()
        neighbour = waiter
      }
    })
  }
}
