import * as HttpDate from "@breakwater/core/transport/HttpDate"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { exampleMillis, examples, formats } from "../../drivers/HttpDates.ts"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as TimeZone from "../../drivers/TimeZone.ts"

describe("a date of HTTP", () => {
  TimeZone.inNewYork()

  it.each(examples)("is read in each of the formats of RFC 9110, section 5.6.7: %s", (text) => {
    assert.strictEqual(HttpDate.parse(text), exampleMillis)
  })

  it.prop(
    "is read back to the second, for every year of four digits",
    { seconds: intBetween(Date.UTC(1000, 0, 1) / 1_000, Date.UTC(9999, 11, 31, 23, 59, 59) / 1_000) },
    ({ seconds }) => {
      const date = new Date(seconds * 1_000)
      assert.strictEqual(HttpDate.parse(formats["IMF-fixdate"](date)), date.getTime())
      assert.strictEqual(HttpDate.parse(formats.asctime(date)), date.getTime())
      // The format of Node and every browser.
      assert.strictEqual(HttpDate.parse(date.toUTCString()), date.getTime())
    }
  )

  it.prop(
    "is read back with a year of two digits, from 1950 to 2049",
    { seconds: intBetween(Date.UTC(1950, 0, 1) / 1_000, Date.UTC(2049, 11, 31, 23, 59, 59) / 1_000) },
    ({ seconds }) => {
      const date = new Date(seconds * 1_000)
      assert.strictEqual(HttpDate.parse(formats["RFC 850"](date)), date.getTime())
    }
  )

  it.each([
    "",
    "5",
    "0",
    "1796053000",
    "yesterday, about 5",
    "2026-11-23",
    "2026-11-23T12:00:00Z",
    "11/23/2026",
    "Sun, 99 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 25:49:37 GMT",
    "Sun, 06 Nov 1994",
    "06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 PST",
    "Sun, 06 Nov 1994 08:49:37 +0100",
    "Sun Nov  6 08:49:37 1994 GMT",
    " Sun, 06 Nov 1994 08:49:37 GMT",
    "sun, 06 nov 1994 08:49:37 gmt"
  ])("is not %j", (text) => assert.isUndefined(HttpDate.parse(text)))

  it.prop("is a finite number or absent, for any text", { text: Schema.String }, ({ text }) => {
    assert.isTrue(Number.isFinite(HttpDate.parse(text) ?? 0))
  })

  it("is the time of a response, by the first of several values", () => {
    const [date = ""] = examples
    assert.strictEqual(HttpDate.ofResponse({ date }), exampleMillis)
    assert.strictEqual(HttpDate.ofResponse({ date: [date, "5"] }), exampleMillis)
    assert.isUndefined(HttpDate.ofResponse({}))
    assert.isUndefined(HttpDate.ofResponse({ date: "5" }))
  })
})
