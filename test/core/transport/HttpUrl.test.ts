import * as HttpUrl from "@breakwater/core/transport/HttpUrl"
import { assert, describe, it } from "@effect/vitest"
import { intBetween } from "../../drivers/IntBetween.ts"

describe("the address of a service", () => {
  it.each<readonly [url: string, flaw: HttpUrl.Flaw | undefined]>([
    ["https://api.acme.example", undefined],
    ["https://api.acme.example:8443/v2?region=eu", undefined],
    ["http://localhost:8080", undefined],
    ["http://api.acme.example", "Insecure"],
    ["ftp://127.0.0.1", "Insecure"],
    ["file:///etc/passwd", "Insecure"],
    ["javascript:alert(1)", "Insecure"],
    ["http://us:them@api.acme.example#top", "Insecure"],
    ["https://us@api.acme.example", "UserInfo"],
    ["https://:them@api.acme.example", "UserInfo"],
    ["http://us:them@127.0.0.1#top", "UserInfo"],
    ["https://api.acme.example#top", "Fragment"],
    ["https://api.acme.example/v2#", undefined]
  ])("%s has this flaw: %s (RFC 9110, section 4.2)", (url, flaw) => {
    assert.strictEqual(HttpUrl.flawOf(new URL(url)), flaw)
  })

  it("does not appear in the message about its flaw", () => {
    assert.deepStrictEqual(HttpUrl.flaws, {
      Insecure: "must begin with https:// (http:// is for this machine only)",
      UserInfo: "must hold no user and no password",
      Fragment: "must have no fragment"
    })
  })

  it.prop("has its own port, or that of its scheme", { port: intBetween(0, 65_535) }, ({ port }) => {
    for (const scheme of ["http", "https"]) {
      assert.strictEqual(HttpUrl.portOf(new URL(`${scheme}://acme.example:${port}`)), port)
    }
  })

  it("has 443 for https and 80 for http by default (RFC 9110, sections 4.2.1 and 4.2.2)", () => {
    assert.strictEqual(HttpUrl.portOf(new URL("https://acme.example")), 443)
    assert.strictEqual(HttpUrl.portOf(new URL("http://acme.example")), 80)
  })
})
