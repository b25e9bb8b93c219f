import { Waiter, WaitQueue } from "@breakwater/core/structures/WaitQueue"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Effort from "../../setup/Effort.ts"
import { countLinks } from "../../watches/CountLinks.ts"

class Guest extends Waiter {
  readonly id: number
  constructor(id: number) {
    super()
    this.id = id
  }
}

const Id = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
/** Two queues, and waiters that may stand in either or in none. */
const Step = Schema.Struct({
  kind: Schema.Literals(["push", "push", "push", "remove", "remove", "shift"]),
  queue: Schema.Literals([0, 1]),
  id: Id
})

/** The waiters in the queue, read along its links forwards and backwards. */
const standing = (queue: WaitQueue<Guest>): ReadonlyArray<number> => {
  const along = (first: Guest | undefined, link: "next" | "previous") => {
    const guests: Array<Guest> = []
    for (let guest = first; guest !== undefined; guest = guest[link] as Guest | undefined) {
      guests.push(guest)
      assert.isAtMost(guests.length, 10)
    }
    return guests
  }
  const forwards = along(queue.head, "next")
  const backwards = along(forwards.at(-1), "previous")
  assert.deepStrictEqual(backwards.reverse().map((guest) => guest.id), forwards.map((guest) => guest.id))
  return forwards.map((guest) => guest.id)
}

describe("WaitQueue", () => {
  it("serves in the order of arrival, without a waiter that has left", () => {
    const queue = new WaitQueue<Guest>()
    const [first, second, third] = [new Guest(1), new Guest(2), new Guest(3)]
    for (const guest of [first, second, third]) queue.push(guest)
    queue.remove(second)
    assert.deepStrictEqual([queue.shift(), queue.shift(), queue.shift()], [first, third, undefined])
  })

  it("does not remove a waiter that stands in another queue or in none", () => {
    const [here, elsewhere] = [new WaitQueue<Guest>(), new WaitQueue<Guest>()]
    const [guest, stranger] = [new Guest(0), new Guest(1)]
    here.push(guest)
    elsewhere.remove(guest)
    here.remove(stranger)
    assert.deepStrictEqual([here.length, elsewhere.length], [1, 0])
    here.remove(guest)
    here.remove(guest)
    assert.deepStrictEqual([here.length, here.shift()], [0, undefined])
  })

  it("touches a dozen links per waiter, even with a hundred thousand waiting", () => {
    const n = 100_000
    const count = { links: 0, atMost: 12 * n }
    const queue = new WaitQueue<Guest>()
    const guests = Array.from({ length: n }, (_, id) => {
      const guest = new Guest(id)
      countLinks(guest, count)
      queue.push(guest)
      return guest
    })
    // Half of them leave from the middle; the others are served.
    for (let id = n - 1; id > 0; id -= 2) queue.remove(guests[id]!)
    for (let id = 0; id < n; id += 2) assert.strictEqual(queue.shift(), guests[id])
    assert.strictEqual(queue.length, 0)
  })

  it.prop(
    "serves in the order of arrival like a list, for any leaving in between",
    { script: Schema.Array(Step) },
    ({ script }) => {
      const guests = Array.from({ length: 10 }, (_, id) => new Guest(id))
      const queues = [new WaitQueue<Guest>(), new WaitQueue<Guest>()] as const
      const lists: readonly [Array<Guest>, Array<Guest>] = [[], []]
      for (const step of script) {
        const guest = guests[step.id]!
        const queue = queues[step.queue]
        const list = lists[step.queue]
        switch (step.kind) {
          case "push":
            if (lists.some((list) => list.includes(guest))) continue
            queue.push(guest)
            list.push(guest)
            break
          case "remove":
            queue.remove(guest)
            if (list.includes(guest)) list.splice(list.indexOf(guest), 1)
            break
          case "shift":
            assert.strictEqual(queue.shift()?.id, list.shift()?.id)
            break
        }
        for (const which of [0, 1] as const) {
          assert.deepStrictEqual(standing(queues[which]), lists[which].map((guest) => guest.id))
          assert.strictEqual(queues[which].length, lists[which].length)
        }
      }
    },
    { arbitrary: { runs: Effort.runs(150), size: 150 } }
  )
})
