import { Entry } from "@breakwater/core/caching/ResponseCache/Entry"
import { Shelf } from "@breakwater/core/caching/ResponseCache/Shelf"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../../drivers/IntBetween.ts"
import * as Effort from "../../../setup/Effort.ts"

/** SIEVE as in figure 2 of the paper, over a plain list with the newest first. */
class NaiveSieve {
  private list: Array<{ key: string; size: number; isVisited: boolean }> = []
  private hand: string | undefined = undefined
  private readonly maxEntries: number
  private readonly maxSize: number
  constructor(maxEntries: number, maxSize: number) {
    this.maxEntries = maxEntries
    this.maxSize = maxSize
  }
  get keys() {
    return this.list.map(({ key }) => key).toSorted()
  }
  get size() {
    return this.list.reduce((sum, { size }) => sum + size, 0)
  }
  get(key: string): boolean {
    const found = this.list.find((entry) => entry.key === key)
    if (found !== undefined) found.isVisited = true
    return found !== undefined
  }
  put(key: string, size: number): ReadonlyArray<string> {
    this.delete(key)
    const evicted: Array<string> = []
    if (size > this.maxSize) return evicted
    while (this.list.length >= this.maxEntries || this.size + size > this.maxSize) {
      let at = this.hand === undefined ? this.list.length - 1 : this.list.findIndex((entry) => entry.key === this.hand)
      while (this.list[at]!.isVisited) {
        this.list[at]!.isVisited = false
        at = at === 0 ? this.list.length - 1 : at - 1
      }
      const { key } = this.list[at]!
      this.hand = this.list[at - 1]?.key
      this.list.splice(at, 1)
      evicted.push(key)
    }
    this.list.unshift({ key, size, isVisited: false })
    return evicted
  }
  delete(key: string): void {
    const at = this.list.findIndex((entry) => entry.key === key)
    if (at < 0) return
    if (this.hand === key) this.hand = this.list[at - 1]?.key
    this.list.splice(at, 1)
  }
}

const entry = (key: string, bytes = 0) => new Entry<string, never>(key, key, bytes, 0, 1)

const Step = Schema.Union([
  Schema.TaggedStruct("Get", { key: intBetween(0, 12) }),
  Schema.TaggedStruct("Put", { key: intBetween(0, 12), size: intBetween(0, 12) }),
  Schema.TaggedStruct("Delete", { key: intBetween(0, 12) })
])

describe("Shelf", () => {
  it("returns what was put on it, until it is deleted", () => {
    const shelf = new Shelf<string, never>(2, 10, () => assert.fail("nothing is evicted"))
    assert.isTrue(shelf.put(entry("rates", 5)))
    assert.strictEqual(shelf.get("rates")?.kept, "rates")
    assert.strictEqual(shelf.delete("rates")?.kept, "rates")
    assert.isUndefined(shelf.get("rates"))
  })

  it("evicts the oldest entry that was not used, and continues with the next", () => {
    const evicted: Array<string> = []
    const shelf = new Shelf<string, never>(3, 10, ({ key }) => evicted.push(key))
    for (const key of ["a", "b", "c"]) shelf.put(entry(key))
    shelf.get("a")
    shelf.put(entry("d"))
    assert.deepStrictEqual(evicted, ["b"])
    shelf.put(entry("e"))
    assert.deepStrictEqual(evicted, ["b", "c"])
    assert.strictEqual(shelf.get("a")?.kept, "a")
  })

  it("looks at no more than 64 entries per eviction, even if all were used", () => {
    const evicted: Array<string> = []
    const shelf = new Shelf<string, never>(1_000, 1, ({ key }) => evicted.push(key))
    for (let i = 0; i < 1_000; i++) shelf.put(entry(`${i}`))
    for (let i = 0; i < 1_000; i++) shelf.get(`${i}`)
    shelf.put(entry("new"))
    assert.deepStrictEqual(evicted, ["64"])
  })

  it("is empty after it is cleared, and works again", () => {
    const shelf = new Shelf<string, never>(2, 10, () => assert.fail("nothing is evicted"))
    shelf.put(entry("a", 5))
    shelf.clear()
    assert.deepStrictEqual([shelf.count, shelf.size, shelf.get("a")], [0, 0, undefined])
    shelf.put(entry("b", 5))
    shelf.put(entry("c", 5))
    assert.deepStrictEqual([shelf.get("b")?.kept, shelf.get("c")?.kept], ["b", "c"])
  })

  it.prop(
    "keeps and evicts the same as a plain list under SIEVE, within its bounds",
    {
      maxEntries: intBetween(1, 8),
      maxSize: intBetween(1, 30),
      script: Schema.Array(Step).check(Schema.isMaxLength(120))
    },
    ({ maxEntries, maxSize, script }) => {
      let evicted: Array<string> = []
      const shelf = new Shelf<string, never>(maxEntries, maxSize, ({ key }) => evicted.push(key))
      const model = new NaiveSieve(maxEntries, maxSize)
      const put = new Map<string, Entry<string, never>>()
      for (const [at, step] of script.entries()) {
        const key = String(step.key)
        evicted = []
        switch (step._tag) {
          case "Get":
            assert.deepStrictEqual(shelf.get(key), model.get(key) ? put.get(key) : undefined)
            break
          case "Put": {
            const expected = model.put(key, step.size)
            put.set(key, new Entry(key, `${at}`, step.size, at, 2 * at, 3 * at))
            assert.strictEqual(shelf.put(put.get(key)!), step.size <= maxSize)
            assert.deepStrictEqual(evicted, expected)
            break
          }
          case "Delete":
            shelf.delete(key)
            model.delete(key)
        }
        assert.isAtMost(shelf.count, maxEntries)
        assert.isAtMost(shelf.size, maxSize)
        assert.deepStrictEqual([shelf.count, shelf.size], [model.keys.length, model.size])
      }
    },
    { arbitrary: { runs: Effort.runs(500), size: 120 } }
  )
})
