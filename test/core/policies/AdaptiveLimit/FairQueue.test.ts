import { FairQueue, FairWaiter } from "@breakwater/core/policies/AdaptiveLimit/FairQueue"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as Effort from "../../../setup/Effort.ts"

class Guest extends FairWaiter {
  readonly id: number
  constructor(id: number, key: string) {
    super(key)
    this.id = id
  }
}

const Step = Schema.Struct({
  kind: Schema.Literals(["push", "push", "push", "shift", "remove", "pop"]),
  key: Schema.Literals(["a", "b", "c"]),
  which: intBetween(0, 20)
})

describe("FairQueue", () => {
  it("serves the lines in turn, so that one call does not wait for a hundred of another key", () => {
    const queue = new FairQueue<Guest>()
    for (let id = 0; id < 100; id++) queue.push(new Guest(id, "flood"))
    queue.push(new Guest(100, "quiet"))
    assert.deepStrictEqual([queue.shift()?.id, queue.shift()?.id, queue.shift()?.id], [0, 100, 1])
    assert.deepStrictEqual([queue.length, queue.waiting("flood"), queue.waiting("quiet")], [98, 98, 0])
  })

  it("takes the last call of the longest line", () => {
    const queue = new FairQueue<Guest>()
    for (const [id, key] of [[0, "a"], [1, "b"], [2, "b"]] as const) queue.push(new Guest(id, key))
    assert.strictEqual(queue.longest, "b")
    assert.strictEqual(queue.pop("b")?.id, 2)
    assert.strictEqual(queue.length, 2)
  })

  it.prop(
    "serves the lines in turn, each in the order of arrival, like lists of lists, for any leaving in between",
    { script: Schema.Array(Step) },
    ({ script }) => {
      const queue = new FairQueue<Guest>()
      /** The lines in the order of their turns. */
      let lines: Array<{ readonly key: string; readonly guests: Array<Guest> }> = []
      script.forEach(({ key, kind, which }, id) => {
        const line = lines.find((line) => line.key === key)
        const standing = lines.flatMap(({ guests }) => guests)
        switch (kind) {
          case "push": {
            const guest = new Guest(id, key)
            queue.push(guest)
            if (line === undefined) lines.push({ key, guests: [guest] })
            else line.guests.push(guest)
            break
          }
          case "shift": {
            const first = lines.shift()
            assert.strictEqual(queue.shift(), first?.guests.shift())
            if (first !== undefined) lines.push(first)
            break
          }
          case "remove": {
            const guest = standing[which % Math.max(1, standing.length)]
            if (guest === undefined) break
            queue.remove(guest)
            for (const { guests } of lines) if (guests.includes(guest)) guests.splice(guests.indexOf(guest), 1)
            // A waiter that has left cannot leave again.
            queue.remove(guest)
            break
          }
          case "pop":
            assert.strictEqual(queue.pop(key), line?.guests.pop())
        }
        lines = lines.filter(({ guests }) => guests.length > 0)
        assert.strictEqual(queue.length, lines.reduce((sum, { guests }) => sum + guests.length, 0))
        for (const key of ["a", "b", "c"]) {
          assert.strictEqual(queue.waiting(key), lines.find((line) => line.key === key)?.guests.length ?? 0)
        }
        const most = Math.max(0, ...lines.map(({ guests }) => guests.length))
        assert.strictEqual(queue.longest === undefined ? 0 : queue.waiting(queue.longest), most)
      })
    },
    { arbitrary: { runs: Effort.runs(300), size: 100 } }
  )
})
