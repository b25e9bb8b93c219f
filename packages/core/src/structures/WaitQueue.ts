/** A first-in-first-out queue whose waiters can leave from the middle; every operation is O(1). */

export abstract class Waiter {
  next: Waiter | undefined = undefined
  previous: Waiter | undefined = undefined
  queue: WaitQueue<Waiter> | undefined = undefined
}

export class WaitQueue<W extends Waiter> {
  length = 0
  head: W | undefined = undefined
  private tail: W | undefined = undefined

  push(waiter: W): void {
    waiter.queue = this as unknown as WaitQueue<Waiter>
    waiter.previous = this.tail
    if (this.tail === undefined) this.head = waiter
    else this.tail.next = waiter
    this.tail = waiter
    this.length++
  }

  /** Removes a waiter; does nothing when it is not in this queue. */
  remove(waiter: W): void {
    if (waiter.queue !== (this as unknown as WaitQueue<Waiter>)) return
    if (waiter.previous === undefined) this.head = waiter.next as W | undefined
    else waiter.previous.next = waiter.next
    if (waiter.next === undefined) this.tail = waiter.previous as W | undefined
    else waiter.next.previous = waiter.previous
    waiter.next = waiter.previous = waiter.queue = undefined
    this.length--
  }

  /** Removes and returns the last waiter. */
  pop(): W | undefined {
    const tail = this.tail
    if (tail !== undefined) this.remove(tail)
    return tail
  }

  shift(): W | undefined {
    const head = this.head
    if (head !== undefined) this.remove(head)
    return head
  }
}
