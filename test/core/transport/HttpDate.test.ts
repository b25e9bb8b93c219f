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

  it.each<readonly [text: string, millis: number | undefined]>([
    // The examples of RFC 3339, section 5.8, without that of a leap second.
    ["1985-04-12T23:20:50.52Z", Date.UTC(1985, 3, 12, 23, 20, 50, 520)],
    ["1996-12-19T16:39:57-08:00", Date.UTC(1996, 11, 20, 0, 39, 57)],
    ["1937-01-01T12:00:27.87+00:20", Date.UTC(1937, 0, 1, 11, 40, 27, 870)],
    ["2026-11-30t12:00:00z", Date.UTC(2026, 10, 30, 12)],
    ["2026-11-30 12:00Z", Date.UTC(2026, 10, 30, 12)],
    ["2026-11-30T12:00:00+0530", Date.UTC(2026, 10, 30, 6, 30)],
    ["2026-11-30T12:00:00.1234567Z", Date.UTC(2026, 10, 30, 12, 0, 0, 123)],
    ["2026-11-30T12:00:00", undefined],
    ["2026-11-30", undefined],
    ["2026-02-31T12:00:00Z", undefined],
    ["2026-13-01T12:00:00Z", undefined],
    ["2026-11-30T25:00:00Z", undefined],
    ["20261130T120000Z", undefined],
    ["", undefined]
  ])("of ISO with a zone is read apart: %j", (text, millis) => {
    assert.strictEqual(HttpDate.parseIso(text), millis)
  })

  it("is the time of a response, by the first of several values", () => {
    const [date = ""] = examples
    assert.strictEqual(HttpDate.ofResponse({ date }), exampleMillis)
    assert.strictEqual(HttpDate.ofResponse({ date: [date, "5"] }), exampleMillis)
    assert.isUndefined(HttpDate.ofResponse({}))
    assert.isUndefined(HttpDate.ofResponse({ date: "5" }))
  })
})
