import { type Cell, Keyed } from "@breakwater/core/structures/Keyed"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as Effort from "../../setup/Effort.ts"

const Key = intBetween(0, 15)
const Step = Schema.Union([
  Schema.TaggedStruct("get", { key: Key }),
  /** As many times as a sweep needs to pass by. */
  Schema.TaggedStruct("get often", { key: Key, times: intBetween(2, 130) }),
  /** Like an admitted call: it gets the key, and keeps it busy. */
  Schema.TaggedStruct("hold", { key: Key }),
  Schema.TaggedStruct("release", { key: Key }),
  Schema.TaggedStruct("wait", { millis: intBetween(1, 30) })
])
const Script = Schema.Array(Step)
const options = { maxKeys: intBetween(1, 12), idleMillis: intBetween(1, 120) }
/** Scripts with more questions than there are between two sweeps. */
const long = { arbitrary: { runs: Effort.runs(150), size: 400 } }

/** A cell that notes when it is read. */
class ObservedCell implements Cell {
  readonly key: string
  isBusy = false
  staysAwake = false
  /** The state that eviction would lose. */
  notes: ReadonlyArray<number> = []
  placedAt: number
  private readonly looked: Set<string>
  private touched: number
  constructor(key: string, now: number, looked: Set<string>) {
    this.key = key
    this.placedAt = this.touched = now
    this.looked = looked
  }
  get touchedAt() {
    this.looked.add(this.key)
    return this.touched
  }
  set touchedAt(at: number) {
    this.touched = at
  }
}

/** A map that is driven by hand, with its own clock and a limited number of cells awake. */
const drive = (maxKeys: number, idleMillis: number, awake = Infinity) => {
  const looked = new Set<string>()
  const keyed = new Keyed(
    { maxKeys, idleMillis },
    (key, now) => new ObservedCell(key, now, looked),
    (cell) => cell.isBusy,
    {
      width: 2,
      awake,
      pack: ({ notes, staysAwake }) => staysAwake ? undefined : notes,
      unpack: (key, numbers) => {
        const cell = new ObservedCell(key, 0, looked)
        cell.notes = numbers
        return cell
      }
    }
  )
  const subject = {
    keyed,
    now: 0,
    /** Gets a key. */
    get: (key: string | number) => keyed.get(`${key}`, subject.now),
    /** Gets keys one after another, each at its own time. */
    use: (...keys: ReadonlyArray<string | number>) => {
      for (const key of keys) {
        subject.now++
        subject.get(key)
      }
    },
    hold: (key: string | number) => {
      const cell = subject.get(key)
      cell.isBusy = true
      return cell
    },
    keys: () => Array.from(keyed.entries(), ([key]) => key),
    cells: () => Array.from(keyed.entries(), ([, cell]) => cell),
    busy: () => subject.cells().filter((cell) => cell.isBusy).length,
    /** The keys a call looks at, besides its own. */
    lookedAt: (ask: () => ObservedCell | undefined) => {
      looked.clear()
      const asked = ask()
      return Array.from(looked).filter((key) => key !== asked?.key)
    },
    step: (step: typeof Step.Type): ObservedCell | undefined => {
      switch (step._tag) {
        case "get":
          return subject.get(step.key)
        case "get often":
          for (let i = 1; i < step.times; i++) subject.get(step.key)
          return subject.get(step.key)
        case "hold":
          return subject.hold(step.key)
        case "release": {
          const cell = keyed.peek(`${step.key}`)
          if (cell !== undefined) cell.isBusy = false
          return undefined
        }
        case "wait":
          subject.now += step.millis
          return undefined
      }
    }
  }
  return subject
}

describe("Keyed", () => {
  it("returns the same cell for the same key, and evicts the least recently used one when it is full", () => {
    const subject = drive(2, 60_000)
    const cell = subject.get("a")
    subject.use("b", "a")
    assert.strictEqual(subject.get("a"), cell)
    subject.use("c")
    assert.sameMembers(subject.keys(), ["a", "c"])
  })

  it("evicts a key that was not used for its idle time", () => {
    const subject = drive(10, 60_000)
    subject.get("a")
    subject.now = 60_000
    subject.use("b")
    assert.deepStrictEqual(subject.keys(), ["b"])
  })

  it("does not grow for ever while every key is used again and a few stay busy", () => {
    for (const busy of [1, 2, 3, 5, 7]) {
      const subject = drive(8, 1e9)
      for (let key = 0; key < busy; key++) subject.hold(`busy ${key}`)
      for (let key = 0; key < 2_000; key++) {
        subject.use(key)
        subject.use(...subject.keys())
        assert.isAtMost(subject.keyed.size, 8 + busy)
      }
    }
  })

  it("evicts idle keys although the oldest key is always in use", () => {
    const subject = drive(100, 1_000)
    subject.use("always", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    for (let i = 0; i < 3_000; i++) subject.use("always")
    assert.deepStrictEqual(subject.keys(), ["always"])
  })

  it("evicts a key that was used again and then no more", () => {
    const subject = drive(8, 1e9)
    subject.use(0, 1, 2, 3, 4, 5, 6, 7)
    subject.use(0, 1, 2)
    subject.use("a", "b", "c", "d", "e", "f", "g", "h")
    assert.sameMembers(subject.keys(), ["a", "b", "c", "d", "e", "f", "g", "h"])
  })

  it("keeps the keys in use through a flood of keys that are used once", () => {
    const subject = drive(8, 1e9)
    const cells = ["a", "b", "c"].map(subject.get)
    for (let key = 0; key < 1_000; key++) {
      subject.use("a", "b", "c", key)
      assert.deepStrictEqual(["a", "b", "c"].map((hot) => subject.keyed.peek(hot)), cells)
    }
  })

  it("looks at no more than four entries when ten thousand become idle at once", () => {
    const subject = drive(10_000, 1_000)
    for (let key = 0; key < 10_000; key++) subject.get(key)
    subject.now = 1_000
    let most = 0
    for (let key = 0; key < 10_000; key++) {
      most = Math.max(most, subject.lookedAt(() => subject.get(`new ${key}`)).length)
    }
    assert.strictEqual(most, 4)
    assert.strictEqual(subject.keyed.size, 10_000)
  })

  it("does not keep a key alive that is only peeked at", () => {
    const subject = drive(8, 100)
    const cell = subject.get("a")
    subject.now = 99
    assert.strictEqual(subject.keyed.peek("a"), cell)
    subject.now = 100
    subject.get("b")
    assert.isUndefined(subject.keyed.peek("a"))
    assert.isUndefined(subject.keyed.peek("never asked for"))
  })

  it.prop(
    "never holds more than maxKeys entries when none is busy",
    { ...options, script: Script },
    ({ idleMillis, maxKeys, script }) => {
      const subject = drive(maxKeys, idleMillis)
      for (const step of script) {
        if (step._tag !== "hold") subject.step(step)
        assert.isAtMost(subject.keyed.size, maxKeys)
      }
    },
    long
  )

  it.prop(
    "grows beyond maxKeys only when the entries it looks at are busy",
    { ...options, script: Script },
    ({ idleMillis, maxKeys, script }) => {
      const subject = drive(maxKeys, idleMillis)
      for (const step of script) {
        const before = subject.keyed.size
        const cells = new Map(subject.keyed.entries())
        const looked = subject.lookedAt(() => subject.step(step))
        if (subject.keyed.size <= Math.max(before, maxKeys)) continue
        const busy = looked.filter((key) => cells.get(key)?.isBusy)
        assert.isAtLeast(busy.length, before > maxKeys ? looked.length : 1)
      }
    },
    long
  )

  it.prop(
    "returns to maxKeys soon after the last busy key is done",
    { ...options, script: Script },
    ({ idleMillis, maxKeys, script }) => {
      const subject = drive(maxKeys, idleMillis)
      for (const step of script) subject.step(step)
      for (const cell of subject.cells()) cell.isBusy = false
      // Each new key makes room for itself, and evicts at least one more while there are too many.
      for (let excess = subject.keyed.size - maxKeys; excess >= 0; excess--) subject.use(`new ${excess}`)
      assert.isAtMost(subject.keyed.size, maxKeys)
    },
    long
  )

  it.prop(
    "never evicts a busy key",
    { ...options, script: Script },
    ({ idleMillis, maxKeys, script }) => {
      const subject = drive(maxKeys, idleMillis)
      const held = new Map<string, ObservedCell>()
      for (const step of script) {
        const cell = subject.step(step)
        if (step._tag === "hold" && cell !== undefined) held.set(`${step.key}`, cell)
        if (step._tag === "release") held.delete(`${step.key}`)
        for (const [key, cell] of held) assert.strictEqual(subject.keyed.peek(key), cell)
      }
    },
    long
  )

  it.prop(
    "returns the same state object that it gave out",
    { ...options, script: Script },
    ({ idleMillis, maxKeys, script }) => {
      const subject = drive(maxKeys, idleMillis)
      for (const step of script) {
        const cell = subject.step(step)
        if (cell !== undefined) assert.strictEqual(subject.keyed.peek(cell.key), cell)
      }
    },
    long
  )

  it.prop(
    "evicts no key before it is idle while there is room",
    { idleMillis: options.idleMillis, script: Script },
    ({ idleMillis, script }) => {
      const subject = drive(16, idleMillis)
      const last = new Map<string, { readonly at: number; readonly cell: ObservedCell }>()
      for (const step of script) {
        const cell = subject.step(step)
        if (cell === undefined) continue
        const known = last.get(cell.key)
        if (known !== undefined && subject.now - known.at < idleMillis) assert.strictEqual(cell, known.cell)
        last.set(cell.key, { at: subject.now, cell })
      }
    },
    long
  )

  it.prop(
    "evicts idle keys, also when no key is new",
    { ...options, script: Script, survivor: Key },
    ({ idleMillis, maxKeys, script, survivor }) => {
      const subject = drive(maxKeys, idleMillis)
      for (const step of script) subject.step(step)
      const busy = subject.cells().filter((cell) => cell.isBusy).map((cell) => cell.key)
      for (let i = 0; i < 2_000; i++) {
        subject.now += idleMillis / 200
        subject.get(survivor)
      }
      assert.sameMembers(subject.keys(), Array.from(new Set([...busy, `${survivor}`])))
    },
    { arbitrary: { runs: Effort.runs(60), size: 200 } }
  )

  it.prop(
    "keeps a used key before an unused one when it is full",
    { used: Schema.Array(intBetween(0, 7)).check(Schema.isBetweenLength(0, 3)) },
    ({ used }) => {
      const subject = drive(8, 1e9)
      subject.use(0, 1, 2, 3, 4, 5, 6, 7)
      subject.use(...used)
      subject.use("new")
      const forgotten = [0, 1, 2, 3, 4, 5, 6, 7].find((key) => !used.includes(key))
      const expected = [0, 1, 2, 3, 4, 5, 6, 7, "new"].filter((key) => key !== forgotten)
      assert.sameMembers(subject.keys(), expected.map(String))
    }
  )

  it.prop(
    "looks at no more than four entries per call",
    { ...options, script: Script },
    ({ idleMillis, maxKeys, script }) => {
      const subject = drive(maxKeys, idleMillis)
      for (const step of script) {
        if (step._tag === "get often") {
          for (let i = 0; i < step.times; i++) {
            assert.isAtMost(subject.lookedAt(() => subject.get(step.key)).length, 4)
          }
        } else {
          assert.isAtMost(subject.lookedAt(() => subject.step(step)).length, 4)
        }
      }
    },
    long
  )

  describe("with few cells awake", () => {
    const few = { ...options, awake: intBetween(1, 4), script: Script }

    it("evicts the least recently used resting key first", () => {
      const subject = drive(8, 1e9, 2)
      subject.use(0, 1, 2, 3, 4, 5, 6, 7)
      subject.use(0, 2)
      subject.use("new")
      assert.sameMembers(subject.keys(), ["0", "2", "3", "4", "5", "6", "7", "new"])
      subject.use("newer")
      assert.sameMembers(subject.keys(), ["0", "2", "4", "5", "6", "7", "new", "newer"])
    })

    it("spares a key that must be kept for longer, and evicts those resting behind it", () => {
      const subject = drive(8, 100, 1)
      subject.use("vendor's pause", 1, 2, 3)
      const cell = subject.get("vendor's pause")
      cell.touchedAt = 1_000
      // It rests, wakes, and rests again.
      subject.use(4, "vendor's pause", 4)
      subject.now = 500
      for (let i = 0; i < 200; i++) subject.get("always")
      assert.sameMembers(subject.keys(), ["vendor's pause", "always"])
      subject.now = 1_100
      for (let i = 0; i < 200; i++) subject.get("always")
      assert.deepStrictEqual(subject.keys(), ["always"])
    })

    it("iterates over every awake cell, and ends although cells are added meanwhile", () => {
      const subject = drive(100, 1e9, 4)
      subject.use(0, 1, 2, 3, 4, 5)
      assert.sameMembers(Array.from(subject.keyed.cells(), ({ key }) => key), ["2", "3", "4", "5"])
      let seen = 0
      for (const { key } of subject.keyed.cells()) {
        assert.isBelow(++seen, 10)
        subject.use(`after ${key}`)
      }
      assert.isAbove(seen, 2)
    })

    it.prop(
      "keeps the notes of every key, resting or awake, until it is idle or evicted",
      { ...few, idleMillis: intBetween(20, 200), stubborn: Key },
      ({ awake, idleMillis, script, stubborn }) => {
        const subject = drive(16, idleMillis, awake)
        const known = new Map<string, { at: number; notes: ReadonlyArray<number> }>()
        script.forEach((step, at) => {
          const cell = subject.step(step)
          if (cell === undefined) return
          const before = known.get(cell.key)
          if (before !== undefined && subject.now - before.at < idleMillis) {
            assert.deepStrictEqual(cell.notes, before.notes)
          }
          // From no numbers to more than there are columns, fractions included.
          cell.notes = Array.from({ length: at % 5 }, (_, i) => i === 0 ? -Infinity : at + i / 8)
          cell.staysAwake = cell.key === `${stubborn}`
          known.set(cell.key, { at: subject.now, notes: cell.notes })
          for (const [key, { at, notes }] of known) {
            if (subject.now - at < idleMillis) assert.deepStrictEqual(subject.keyed.peek(key)?.notes, notes)
          }
        })
        const expected = new Map(Array.from(subject.keyed.entries(), ([key, { notes }]) => [key, notes]))
        assert.strictEqual(expected.size, subject.keyed.size)
        for (const [key, notes] of expected) assert.deepStrictEqual(notes, known.get(key)?.notes)
      },
      long
    )

    it.prop(
      "never holds more than maxKeys entries when none is busy, and never evicts a busy one or lays it to rest",
      few,
      ({ awake, idleMillis, maxKeys, script }) => {
        const subject = drive(maxKeys, idleMillis, awake)
        const held = new Map<string, ObservedCell>()
        let wasBusy = false
        for (const step of script) {
          const cell = subject.step(step)
          if (step._tag === "hold" && cell !== undefined) held.set(cell.key, cell)
          wasBusy ||= held.size > 0
          if (step._tag === "release") held.delete(`${step.key}`)
          for (const [key, cell] of held) assert.strictEqual(subject.keyed.peek(key), cell)
          if (!wasBusy) assert.isAtMost(subject.keyed.size, maxKeys)
        }
      },
      long
    )

    it.prop(
      "looks at no more than four entries to evict, and at four to lay to rest",
      few,
      ({ awake, idleMillis, maxKeys, script }) => {
        const subject = drive(maxKeys, idleMillis, awake)
        for (const step of script) {
          const looked = subject.lookedAt(() => subject.step(step))
          if (step._tag !== "get often") assert.isAtMost(looked.length, 8)
        }
      },
      long
    )

    it.prop(
      "evicts idle keys, also when no key is new",
      { ...few, survivor: Key },
      ({ awake, idleMillis, maxKeys, script, survivor }) => {
        const subject = drive(maxKeys, idleMillis, awake)
        for (const step of script) if (step._tag !== "hold") subject.step(step)
        for (let i = 0; i < 3_000; i++) {
          subject.now += idleMillis / 200
          subject.get(survivor)
        }
        assert.deepStrictEqual(subject.keys(), [`${survivor}`])
      },
      { arbitrary: { runs: Effort.runs(60), size: 200 } }
    )
  })
})
