import { type Cell, Keyed } from "@breakwater/core/structures/Keyed"
import { assert, describe, it } from "@effect/vitest"

/** A map whose keys that begin with `!` stay awake, and that keeps the others awake while there are few. */
const drive = (maxKeys: number, awake: number) => {
  const make = (key: string, now: number) => ({ key, isBusy: false, touchedAt: now, placedAt: now })
  const keyed = new Keyed<Cell & { key: string; isBusy: boolean }>(
    { maxKeys, idleMillis: 1e9 },
    make,
    ({ isBusy }) => isBusy,
    { width: 1, awake, pack: ({ key }) => key.startsWith("!") ? undefined : [1], unpack: (key) => make(key, 0) }
  )
  let now = 0
  return {
    use: (...keys: ReadonlyArray<string>) => keys.map((key) => keyed.get(key, ++now)),
    keys: () => Array.from(keyed.entries(), ([key]) => key)
  }
}

describe("the place of a key in the order of eviction", () => {
  it("is that of its last use", () => {
    const { keys, use } = drive(3, 3)
    use("a", "b", "c", "a", "d")
    assert.sameMembers(keys(), ["a", "c", "d"])
  })

  it("is a new one when it was to rest and could not, so that its earlier uses count no more", () => {
    const { keys, use } = drive(2, 1)
    use("!a", "!a", "b", "c")
    assert.sameMembers(keys(), ["b", "c"])
  })

  it("is a new one when it was spared because it was busy", () => {
    const { keys, use } = drive(2, 3)
    const [, busy] = use("a", "b")
    busy!.isBusy = true
    use("a", "c")
    assert.sameMembers(keys(), ["b", "c"])
  })

  it("is a new one when it wakes", () => {
    const { keys, use } = drive(5, 2)
    const [, first] = use("!a", "b")
    first!.isBusy = true
    const [, , second] = use("c", "!d", "e")
    second!.isBusy = true
    use("c", "f")
    assert.sameMembers(keys(), ["!a", "b", "!d", "e", "f"])
  })
})
