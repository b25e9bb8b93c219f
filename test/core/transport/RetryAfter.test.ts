import * as RetryAfter from "@breakwater/core/transport/RetryAfter"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { examples, formats } from "../../drivers/HttpDates.ts"
import { intBetween } from "../../drivers/IntBetween.ts"
import * as TimeZone from "../../drivers/TimeZone.ts"

/** An arbitrary time; deliberately wrong for responses with a `Date` of their own. */
const wallClock = Date.UTC(2026, 10, 22, 12, 0, 0)

const Format = Schema.Literals(["IMF-fixdate", "RFC 850", "asctime"])

describe("Retry-After (RFC 9110, section 10.2.3)", () => {
  TimeZone.inNewYork()

  it("is absent without the header", () => {
    assert.isUndefined(RetryAfter.millis({}, wallClock))
    assert.isUndefined(
      RetryAfter.millis({ "retry-after": undefined, date: "Sun, 06 Nov 1994 08:49:37 GMT" }, wallClock)
    )
  })

  it("is a number of seconds, whole or with decimals", () => {
    const cases: ReadonlyArray<readonly [string, number]> = [
      ["0", 0],
      ["1", 1_000],
      ["120", 120_000],
      [" 7 ", 7_000],
      ["007", 7_000],
      ["0.5", 500],
      ["1.25", 1_250],
      ["86400", 86_400_000]
    ]
    for (const [value, millis] of cases) {
      assert.strictEqual(RetryAfter.millis({ "retry-after": value }, wallClock), millis, value)
    }
  })

  it("is a Unix time, if a number has the size of one: compared with the response's own date", () => {
    const now = Date.UTC(2026, 10, 22, 12, 0, 0)
    const date = "Sun, 22 Nov 2026 12:00:00 GMT"
    const cases: ReadonlyArray<readonly [string, number]> = [
      [String(now / 1_000 + 120), 120_000],
      [`${now / 1_000 + 1}.5`, 1_500],
      [String(now + 120_000), 120_000],
      [String((now + 120_000) * 1_000), 120_000],
      [String(now / 1_000 - 5), 0],
      [`${now / 1_000 + 120}000000000`, 120_000],
      [String(now / 1_000 + 366 * 86_400), 366 * 86_400_000],
      // Implausible: too large for seconds, and not within a year of now.
      ["1000000001", 1_000],
      [String(now / 1_000 + 366 * 86_400 + 1), 1_000],
      ["1000000000", 1e12],
      ["9".repeat(18), 1_000],
      ["9".repeat(400), 1_000]
    ]
    for (const [value, millis] of cases) {
      assert.strictEqual(RetryAfter.millis({ "retry-after": value, date }, 0), millis, value)
    }
  })

  it.each<readonly [string | ReadonlyArray<string>, number]>([
    [["5", "60"], 60_000],
    [["60", "5"], 60_000],
    ["1, 1", 1_000],
    ["5,120 , 7", 120_000],
    ["1,", 1_000],
    [["5", "soon"], 5_000],
    ["0, soon", 1_000],
    [["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT"], 97_000],
    ["Sun, 06 Nov 1994 08:50:37 GMT, Sunday, 06-Nov-94 08:49:37 GMT", 97_000],
    ["30, Sunday, 06-Nov-94 08:49:37 GMT", 37_000]
  ])("is the longest wait of several: %j", (value, millis) => {
    const headers = { "retry-after": value, date: "Sun, 06 Nov 1994 08:49:00 GMT" }
    assert.strictEqual(RetryAfter.millis(headers, wallClock), millis)
  })

  it.each([
    "1994-11-06T08:49:37Z",
    "1994-11-06t08:49:37z",
    "1994-11-06 08:49:37Z",
    "1994-11-06T08:49:37.000Z",
    "1994-11-06T08:49:37.000000+00:00",
    "1994-11-06T09:49:37+01:00",
    "1994-11-06T09:49:37+0100",
    "1994-11-06T00:49:37-08:00"
  ])("is an ISO date with a zone (RFC 3339, section 5.6): %s", (value) => {
    const date = "Sun, 06 Nov 1994 08:49:00 GMT"
    assert.strictEqual(RetryAfter.millis({ "retry-after": value, date }, wallClock), 37_000)
  })

  it("is a date in each of the three formats of section 5.6.7, in its own examples", () => {
    const noon = "Sun, 06 Nov 1994 08:49:00 GMT"
    for (const value of examples) {
      assert.strictEqual(RetryAfter.millis({ "retry-after": value, date: noon }, wallClock), 37_000, value)
      assert.strictEqual(RetryAfter.millis({ "retry-after": value }, Date.UTC(1994, 10, 6, 8, 49, 30)), 7_000, value)
    }
    for (const date of examples) {
      const headers = { "retry-after": "Sun, 06 Nov 1994 08:50:00 GMT", date }
      assert.strictEqual(RetryAfter.millis(headers, wallClock), 23_000, date)
    }
  })

  it.prop(
    "is the time from the response's own date to the header's, in any formats, and never negative",
    {
      // From 1970 to 2049: the years that two digits can express today.
      seconds: intBetween(0, Date.UTC(2049, 11, 31) / 1_000),
      later: Schema.Union([intBetween(-10, 100), intBetween(-100_000, 10_000_000)]),
      format: Format,
      dateFormat: Format
    },
    ({ dateFormat, format, later, seconds }) => {
      const date = new Date(seconds * 1_000)
      const until = new Date(Math.min(Math.max(0, seconds + later), Date.UTC(2049, 11, 31, 23, 59, 59) / 1_000) * 1_000)
      const headers = { "retry-after": formats[format](until), date: formats[dateFormat](date) }
      assert.strictEqual(RetryAfter.millis(headers, wallClock), Math.max(0, until.getTime() - date.getTime()))
      // Without a valid date of its own, the wall clock is used.
      const expected = Math.max(0, until.getTime() - wallClock)
      assert.strictEqual(RetryAfter.millis({ "retry-after": headers["retry-after"] }, wallClock), expected)
      assert.strictEqual(RetryAfter.millis({ ...headers, date: "yesterday, about 5" }, wallClock), expected)
    }
  )

  it("is a second for any other text, even one that a lenient parser would read as a date", () => {
    const garbage = [
      "",
      " ",
      "soon",
      "-1",
      "+5",
      ".5",
      "5.",
      "1e3",
      "0x10",
      "NaN",
      "Infinity",
      "60s",
      "in 60 seconds",
      "try again in 9999",
      "apples 9999",
      "2026-11-23",
      "2026-11-23T12:00:00",
      "2026-02-31T12:00:00Z",
      "2026-11-23T25:00:00Z",
      "11/23/2026",
      "Sun, 99 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994",
      "06 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 08:49:37 PST"
    ]
    for (const value of garbage) {
      assert.strictEqual(RetryAfter.millis({ "retry-after": value }, wallClock), 1_000, value)
    }
  })

  it.prop("is a finite number of at least 0 for any text at all", { value: Schema.String }, ({ value }) => {
    const millis = RetryAfter.millis({ "retry-after": value }, wallClock)
    assert.isTrue(Number.isFinite(millis))
    assert.isAtLeast(millis!, 0)
  })
})
