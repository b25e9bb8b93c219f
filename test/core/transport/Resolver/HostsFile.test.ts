import * as HostsFile from "@breakwater/core/transport/Resolver/HostsFile"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"

const text = `
# 192.0.2.1 commented.example
127.0.0.1	localhost
192.0.2.2 shop.example shop # 192.0.2.3
2001:db8::2   SHOP.example.
192.0.2.4
`

describe("the hosts file", () => {
  it.each<readonly [name: string, addresses: ReadonlyArray<string>]>([
    ["shop.example", ["192.0.2.2", "2001:db8::2"]],
    ["Shop.Example.", ["192.0.2.2", "2001:db8::2"]],
    ["shop", ["192.0.2.2"]],
    ["localhost", ["127.0.0.1"]],
    ["commented.example", []],
    ["192.0.2.4", []],
    ["192.0.2.3", []],
    ["example", []]
  ])("has these addresses of %s: %j", (name, addresses) => {
    assert.deepStrictEqual(HostsFile.addressesIn(text, name), addresses)
    assert.deepStrictEqual(HostsFile.addressesIn(text.replaceAll("\n", "\r\n"), name), addresses)
  })

  it.effect("is that of the system", () =>
    Effect.gen(function*() {
      assert.isEmpty(yield* HostsFile.addresses("nobody-has-this-name.example"))
    }))

  it.prop("is read with any text in it", { text: Schema.String, name: Schema.String }, ({ name, text }) => {
    assert.isArray(HostsFile.addressesIn(text, name))
  })
})
