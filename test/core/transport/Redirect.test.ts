import { following } from "@breakwater/core/transport/Redirect"
import type { Receiver, TransportRequest } from "@breakwater/core/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import { setImmediate } from "node:timers/promises"

const request: TransportRequest = {
  method: "GET",
  origin: "https://acme.example",
  path: "/rates",
  headers: [],
  body: undefined,
  connectTimeoutMillis: 1_000,
  maxBodyBytes: 1_000,
  maxRedirects: 2
}

/** A request whose responses are given by hand, with what its receiver heard and which paths were asked for. */
const begun = () => {
  const [heard, asked] = [new Array<unknown>(), new Array<string>()]
  let hop: Receiver | undefined
  const send = following(({ path }, receiver) => {
    asked.push(path)
    hop = receiver
    return () => heard.push("cancelled")
  })
  const cancel = send(request, {
    onSent: () => heard.push("sent"),
    onHeaders: (status) => heard.push(status),
    onProgress: () => {},
    onEnd: () => heard.push("end"),
    onError: (reason) => heard.push(reason._tag)
  })
  return { heard, asked, cancel, hop: () => hop! }
}

describe("a redirect", () => {
  it("is followed to its end, and then the response is the receiver's", async () => {
    const { asked, heard, hop } = begun()
    hop().onHeaders(307, { location: "/rates/today" })
    hop().onEnd(new Uint8Array())
    await setImmediate()
    await setImmediate()
    hop().onHeaders(200, {})
    hop().onEnd(new Uint8Array())
    assert.deepStrictEqual(asked, ["/rates", "/rates/today"])
    assert.deepStrictEqual(heard, [200, "end"])
  })

  it("that may not be followed is an invalid response", async () => {
    const { asked, heard, hop } = begun()
    hop().onHeaders(302, { location: "http://acme.example/" })
    await setImmediate()
    assert.deepStrictEqual(heard, ["cancelled", "InvalidResponse"])
    assert.deepStrictEqual(asked, ["/rates"])
  })

  it("of a cancelled request is neither followed nor an error", async () => {
    for (const location of ["http://acme.example/", "/rates/today"]) {
      const { asked, cancel, heard, hop } = begun()
      hop().onHeaders(307, { location })
      if (location.startsWith("/")) hop().onEnd(new Uint8Array())
      cancel()
      await setImmediate()
      await setImmediate()
      assert.notInclude(heard, "InvalidResponse")
      assert.deepStrictEqual(asked, ["/rates"])
    }
  })
})
