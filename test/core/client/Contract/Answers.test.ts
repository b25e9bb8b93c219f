import type { Answer } from "@breakwater/core/client/Answer"
import { makeDecoder } from "@breakwater/core/client/Contract/Answers"
import { InvalidResponse } from "@breakwater/core/Reason"
import { assert, describe, it } from "@effect/vitest"
import { Exit, Schema } from "effect"

const answer = (json: unknown): Answer => ({ status: 200, headers: {}, json }) as Answer

describe("a status with several schemas", () => {
  const Paid = Schema.Struct({ paid: Schema.Finite })
  const Refused = Schema.Struct({ refused: Schema.String })
  const decode = makeDecoder(new Map([[200, [Paid, Refused]]]), new Map())
  const read = (json: unknown) => decode(answer(json), new Uint8Array())

  it("is read by the first that fits, in the order of their declaration", () => {
    assert.deepStrictEqual(read({ paid: 5 }), Exit.succeed({ paid: 5 }))
    assert.deepStrictEqual(read({ refused: "no funds" }), Exit.succeed({ refused: "no funds" }))
    assert.deepStrictEqual(read({ paid: 5, refused: "no funds" }), Exit.succeed({ paid: 5 }))
  })

  it("is described by the first, if none fits", () => {
    const reason = read({ owed: 5 })
    assert.instanceOf(reason, InvalidResponse)
    assert.include(reason.issue, "[\"paid\"]")
  })
})
