import { KeyTable, none } from "@breakwater/core/structures/KeyTable"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"

const Step = Schema.Union([
  Schema.TaggedStruct("add", { key: intBetween(0, 400) }),
  /** Enough keys at once that buckets and segments are added. */
  Schema.TaggedStruct("add many", { from: intBetween(0, 400), count: intBetween(1, 1_500) }),
  Schema.TaggedStruct("remove", { key: intBetween(0, 400) }),
  Schema.TaggedStruct("remove many", { from: intBetween(0, 400), count: intBetween(1, 1_500) }),
  Schema.TaggedStruct("renew", { key: intBetween(0, 400) }),
  Schema.TaggedStruct("clear", {})
])

/** Keys that differ only slightly, at the end or at the beginning, and in multi-byte letters. */
const keyOf = (number: number) =>
  number % 3 === 0 ? `tenant/${number}` : number % 3 === 1 ? `${number}/${"é".repeat(number % 150)}` : `${number}\0`

const contentOf = (table: KeyTable<number>) => {
  const content: Array<unknown> = []
  for (let slot = table.oldest; slot !== none; slot = table.newer(slot)) {
    content.push([table.key(slot), table.value(slot), table.number(slot, 0), table.number(slot, 1)])
  }
  return content
}

describe("KeyTable", () => {
  it("holds a value and numbers for each key, from the oldest to the newest", () => {
    const table = new KeyTable<string>(1)
    for (const [index, key] of ["a", "b", "c"].entries()) table.setNumber(table.add(key, `value of ${key}`), 0, index)
    assert.strictEqual(table.value(table.find("b")), "value of b")
    assert.strictEqual(table.number(table.find("b"), 0), 1)
    assert.strictEqual(table.find("d"), none)
    table.renew(table.find("a"))
    table.remove(table.find("b"))
    assert.deepStrictEqual([table.key(table.oldest), table.key(table.newest), table.size], ["c", "a", 2])
  })

  it("finds earlier keys after a key longer than all of them was added", () => {
    const table = new KeyTable<string>(0)
    const keys = Array.from({ length: 12 }, (_, power) => "k".repeat(2 ** power))
    for (const key of keys) table.add(key, key)
    for (const key of keys) assert.strictEqual(table.value(table.find(key)), key)
  })

  it.prop(
    "holds the same as a plain map, in the same order, for any sequence of adding, removing and renewing",
    { script: Schema.Array(Step).check(Schema.isMaxLength(30)) },
    ({ script }) => {
      const table = new KeyTable<number>(2)
      const model = new Map<string, number>()
      let at = 0
      const add = (number: number) => {
        const key = keyOf(number)
        if (model.has(key)) return
        const slot = table.add(key, ++at)
        table.setNumber(slot, 0, at / 2)
        table.setNumber(slot, 1, -Infinity)
        model.set(key, at)
      }
      const remove = (number: number) => {
        const key = keyOf(number)
        const slot = table.find(key)
        assert.strictEqual(slot !== none, model.delete(key))
        if (slot !== none) table.remove(slot)
      }
      for (const step of script) {
        switch (step._tag) {
          case "add":
            add(step.key)
            break
          case "add many":
            for (let i = 0; i < step.count; i++) add(step.from + i)
            break
          case "remove":
            remove(step.key)
            break
          case "remove many":
            for (let i = 0; i < step.count; i++) remove(step.from + i)
            break
          case "renew": {
            const key = keyOf(step.key)
            const value = model.get(key)
            if (value === undefined) break
            table.renew(table.find(key))
            model.delete(key)
            model.set(key, value)
            break
          }
          case "clear":
            table.clear()
            model.clear()
        }
        assert.strictEqual(table.size, model.size)
      }
      assert.deepStrictEqual(contentOf(table), Array.from(model, ([key, value]) => [key, value, value / 2, -Infinity]))
      assert.sameMembers(Array.from(table.slots(), (slot) => table.key(slot)), Array.from(model.keys()))
      for (const [key, value] of model) assert.strictEqual(table.value(table.find(key)), value)
      assert.strictEqual(table.find("nobody's"), none)
    },
    { arbitrary: { runs: Effort.runs(200) } }
  )
})
