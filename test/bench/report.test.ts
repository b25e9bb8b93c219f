import { assert, describe, it } from "@effect/vitest"
import { jsonOf } from "./report.ts"
import type { Row } from "./Suite.ts"

const ran = (row: Partial<Row>) => ({
  name: "guard",
  title: "",
  about: "",
  processes: 1,
  findings: { rows: [{ name: "a call", unit: "ns CPU", ours: 2, peer: 4, ratio: 0.5, ...row }] }
})

describe("the bench as JSON", () => {
  it("has a row for each comparison", () => {
    const row = { name: "guard: a call", ours: 2, peer: 4, ratio: 0.5, bar: 1, holds: true }
    assert.deepStrictEqual(JSON.parse(jsonOf([ran({ bar: 1 })])), [row])
    assert.deepStrictEqual(JSON.parse(jsonOf([ran({ bar: 0.4 })])), [{ ...row, bar: 0.4, holds: false }])
    assert.deepStrictEqual(JSON.parse(jsonOf([ran({})])), [{ ...row, bar: null, holds: null }])
  })

  it("does not say whether a bar holds where the server of the peer is absent", () => {
    assert.deepStrictEqual(JSON.parse(jsonOf([ran({ peer: NaN, ratio: NaN, bar: 1 })])), [
      { name: "guard: a call", ours: 2, peer: null, ratio: null, bar: 1, holds: null }
    ])
  })
})
