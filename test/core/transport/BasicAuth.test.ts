import * as BasicAuth from "@breakwater/core/transport/BasicAuth"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"

describe("basic authentication", () => {
  it.each<readonly [user: string, password: string, header: string]>([
    ["Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
    ["test", "123£", "Basic dGVzdDoxMjPCow=="],
    ["sk_test", "", "Basic c2tfdGVzdDo="],
    ["", "", "Basic Og=="]
  ])("is written as in RFC 7617, sections 2 and 2.1: %s, %s", (user, password, header) => {
    assert.strictEqual(BasicAuth.encode(user, password), header)
  })

  it.prop(
    "is decoded to its original, with colons in the password",
    { user: Schema.String, password: Schema.String },
    ({ password, user }) => {
      const [name, secret] = [user.toWellFormed().replaceAll(":", ""), password.toWellFormed()]
      const header = BasicAuth.encode(name, secret)
      assert.deepStrictEqual(BasicAuth.decode(header), { user: name, password: secret })
      assert.deepStrictEqual(BasicAuth.decode(header.replace("Basic ", "bAsIc   ")), { user: name, password: secret })
    }
  )

  it.prop("is decoded without an exception from any header, and never from another scheme", { text: Schema.String }, ({
    text
  }) => {
    BasicAuth.decode(`Basic ${text}`)
    assert.isUndefined(BasicAuth.decode(`Bearer ${text}`))
    assert.isUndefined(BasicAuth.decode("Basic"))
  })
})
