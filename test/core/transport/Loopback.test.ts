import * as Vendor from "@breakwater/core/client/Vendor"
import * as SecretRequest from "@breakwater/core/sources/SecretRequest"
import * as Loopback from "@breakwater/core/transport/Loopback"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { InvalidRequest } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { intBetween } from "../../drivers/IntBetween.ts"
import { declaration } from "../../fakes/Acme.ts"
import * as Wire from "../../watches/Wire.ts"

/** Hosts of URLs, and whether they are this machine. */
const hosts: ReadonlyArray<readonly [host: string, isHere: boolean, because: string]> = [
  ["localhost", true, "RFC 6761, section 6.3"],
  ["LocalHost", true, "names have no case (RFC 4343)"],
  ["localhost.", true, "the same name, written in full (RFC 1034, section 3.1)"],
  ["api.localhost", true, "RFC 6761, section 6.3: and names below it"],
  ["a.b.LOCALHOST.", true, "all of these at once"],
  ["127.0.0.1", true, "RFC 1122, section 3.2.1.3"],
  ["127.255.255.254", true, "the block is 127.0.0.0/8"],
  ["127.0.0.1.", true, "a URL drops the dot behind an IPv4 address"],
  ["2130706433", true, "a URL reads one number as an IPv4 address"],
  ["0x7f.1", true, "and hexadecimal parts"],
  ["[::1]", true, "RFC 4291, section 2.5.3"],
  ["[0:0:0:0:0:0:0:1]", true, "the same address in another spelling"],

  ["localhost.example.com", false, "a name below example.com"],
  ["notlocalhost", false, "another name"],
  ["localhost..", false, "a name with an empty label"],
  ["localhost.localdomain", false, "RFC 6761 does not reserve it"],
  ["127.0.0.1.nip.io", false, "a name that a public resolver leads here"],
  ["126.255.255.255", false, "below 127.0.0.0/8"],
  ["128.0.0.1", false, "above 127.0.0.0/8"],
  ["0.0.0.0", false, "the unspecified address"],
  ["2130706432.example", false, "a name that begins with a number"],
  ["10.0.0.1", false, "private, and another machine"],
  ["[::]", false, "the unspecified address"],
  ["[::2]", false, "next to ::1"],
  ["[::ffff:127.0.0.1]", false, "IPv4-mapped: the address guard refuses all of them"],
  ["[::127.0.0.1]", false, "IPv4-compatible"],
  ["[64:ff9b::127.0.0.1]", false, "through NAT64"]
]

/** Names of this machine that a resolver may answer for all the same. */
const isName = (host: string): boolean => /localhost\.?$/i.test(host) && !/^localhost$/i.test(host)

describe("this machine", () => {
  it.each(hosts)("%s: %s (%s)", (host, isHere) => {
    assert.strictEqual(Loopback.isHere(new URL(`https://${host}`).hostname), isHere)
  })

  it.effect.each(hosts)(
    "is accepted over plain http at %s by base URLs and transport alike, and by secret sources unless a resolver may answer: %s",
    ([
      host,
      isHere
    ]) =>
      Effect.gen(function*() {
        // Port 1 is closed: a transport that accepts the host fails to connect, any other refuses before.
        const url = `http://${host}:1`
        const transport = { proxy: false, loopback: true } as const
        const client = yield* Effect.result(
          Effect.provide(Vendor.make({ ...declaration, baseUrl: url }), UndiciTransport.layer(transport))
        )
        const source = Result.try(() => SecretRequest.endpointUrl("address", url))
        const outcome = yield* Wire.once(transport, new URL(url).origin)
        assert.deepStrictEqual(
          {
            client: Result.isSuccess(client),
            source: Result.isSuccess(source),
            transport: !(outcome.reason instanceof InvalidRequest)
          },
          { client: isHere, source: isHere && !isName(host), transport: isHere }
        )
      }).pipe(Effect.scoped)
  )

  it.prop(
    "is every address of 127.0.0.0/8, and no other IPv4 address, even as one number in a URL",
    { value: Schema.Union([intBetween(0x7f00_0000, 0x7fff_ffff), intBetween(0, 0xffff_ffff)]) },
    ({ value }) => {
      const { hostname } = new URL(`http://${value}`)
      assert.strictEqual(Loopback.isHere(hostname), hostname.startsWith("127."), hostname)
    }
  )

  it.prop(
    "is not a name that ends in another label",
    { label: Schema.String, name: Schema.String },
    ({ label, name }) => {
      if (/^(?:|localhost)\.?$/i.test(label)) return
      assert.isFalse(Loopback.isLocalName(`${name}.localhost.${label.replaceAll(".", "")}x`))
      assert.isFalse(Loopback.isLocalName(`${label.replaceAll(".", "")}xlocalhost`))
    }
  )
})
