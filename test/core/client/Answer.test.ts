import { quotaOf, reasonOf } from "@breakwater/core/client/Answer"
import type { Reason } from "@breakwater/core/Reason"
import type { Fate } from "@breakwater/core/Safety"
import type { ResponseHeaders } from "@breakwater/core/transport/Transport"
import { assert, describe, it } from "@effect/vitest"
import { intBetween } from "../../drivers/IntBetween.ts"

/** An arbitrary time; deliberately wrong for responses with a `Date` of their own. */
const wallClock = Date.UTC(2026, 10, 22, 12, 0, 0)

describe("the quota", () => {
  const unixSeconds = wallClock / 1_000

  it("is read in every dialect in use, with the remaining seconds or the Unix time of the reset", () => {
    const cases: ReadonlyArray<
      readonly [dialect: string, headers: ResponseHeaders, remaining: number, millis: number]
    > = [
      ["IETF draft 8 and later", { ratelimit: `"default";r=50;t=30` }, 50, 30_000],
      ["… with several parameters", { ratelimit: `"per-minute";pk=:dGVuYW50:;r=0;t=7;q=100` }, 0, 7_000],
      ["… with spaces", { ratelimit: `"default"; r=50; t=30` }, 50, 30_000],
      ["IETF draft 7", { ratelimit: "limit=100, remaining=50, reset=5" }, 50, 5_000],
      ["IETF drafts up to 6", { "ratelimit-remaining": "49", "ratelimit-reset": "50" }, 49, 50_000],
      ["X-RateLimit, seconds left", { "x-ratelimit-remaining": "5", "x-ratelimit-reset": "60" }, 5, 60_000],
      ["… with decimals", { "x-ratelimit-remaining": "5", "x-ratelimit-reset": "1.5" }, 5, 1_500],
      [
        "X-RateLimit, Unix time (GitHub)",
        { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(unixSeconds + 90) },
        0,
        90_000
      ],
      [
        "… with decimals (Discord)",
        { "x-ratelimit-remaining": "1", "x-ratelimit-reset": `${unixSeconds + 1}.25` },
        1,
        1_250
      ],
      [
        "Unix time under the newer name",
        { "ratelimit-remaining": "3", "ratelimit-reset": String(unixSeconds + 10) },
        3,
        10_000
      ],
      [
        "as many seconds as can be distinguished from a Unix time",
        {
          "x-ratelimit-remaining": "2",
          "x-ratelimit-reset": "1000000000"
        },
        2,
        1e12
      ],
      [
        "milliseconds of Unix time",
        { "x-ratelimit-remaining": "3", "x-ratelimit-reset": String((unixSeconds + 10) * 1_000) },
        3,
        10_000
      ],
      [
        "Unix time in the combined header",
        { ratelimit: `"a";r=7;t=${unixSeconds + 10}` },
        7,
        10_000
      ],
      [
        "an ISO date",
        { "x-ratelimit-remaining": "3", "x-ratelimit-reset": new Date((unixSeconds + 10) * 1_000).toISOString() },
        3,
        10_000
      ],
      [
        "a date of HTTP",
        { "x-ratelimit-remaining": "3", "x-ratelimit-reset": new Date((unixSeconds + 10) * 1_000).toUTCString() },
        3,
        10_000
      ],
      [
        "a list, as fetch joins two lines",
        { "x-ratelimit-remaining": "9, 4", "x-ratelimit-reset": "5, 9" },
        4,
        9_000
      ],
      ["a reset in the past", { "x-ratelimit-remaining": "9", "x-ratelimit-reset": String(unixSeconds - 5) }, 9, 0],
      [
        "both names, the newer first",
        {
          "ratelimit-remaining": "1",
          "ratelimit-reset": "2",
          "x-ratelimit-remaining": "30",
          "x-ratelimit-reset": "40"
        },
        1,
        2_000
      ],
      [
        "the combined header overrides all others",
        { ratelimit: `"a";r=7;t=8`, "ratelimit-remaining": "1", "ratelimit-reset": "2" },
        7,
        8_000
      ],
      ["the tightest of several policies", { ratelimit: `"burst";r=10;t=1, "daily";r=0;t=2` }, 0, 2_000],
      ["the same in two lines", { ratelimit: [`"burst";r=10;t=1`, `"daily";r=0;t=2`] }, 0, 2_000],
      ["only whole policies", { ratelimit: `"default";r=0, "daily";r=50;t=3600` }, 50, 3_600_000],
      ["a name that looks like a policy", { ratelimit: `"tier;r=0,";r=50;t=36` }, 50, 36_000],
      ["the list of earlier drafts", { ratelimit: "limit=100, remaining=5, reset=3" }, 5, 3_000],
      ["repeated headers", { "ratelimit-remaining": ["4", "9"], "ratelimit-reset": ["5", "9"] }, 4, 9_000]
    ]
    for (const [dialect, headers, remaining, resetMillis] of cases) {
      assert.deepStrictEqual(quotaOf(headers, wallClock), { remaining, resetMillis }, dialect)
    }
  })

  it("compares a Unix time with the response's own date", () => {
    const headers = {
      "x-ratelimit-remaining": "0",
      "x-ratelimit-reset": String(Date.UTC(1994 + 30, 10, 6, 8, 50, 0) / 1_000),
      date: "Wed, 06 Nov 2024 08:49:37 GMT"
    }
    assert.deepStrictEqual(quotaOf(headers, wallClock), { remaining: 0, resetMillis: 23_000 })
  })

  it.prop(
    "distinguishes remaining seconds from a Unix time by their size",
    {
      remaining: intBetween(0, 1_000_000),
      left: intBetween(0, 1_000_000_000),
      ahead: intBetween(-31_622_400, 31_622_400)
    },
    ({ ahead, left, remaining }) => {
      const headers = (reset: number) => ({
        "x-ratelimit-remaining": String(remaining),
        "x-ratelimit-reset": String(reset)
      })
      assert.deepStrictEqual(quotaOf(headers(left), wallClock), { remaining, resetMillis: left * 1_000 })
      const resetMillis = Math.max(0, ahead * 1_000)
      assert.deepStrictEqual(quotaOf(headers(wallClock / 1_000 + ahead), wallClock), { remaining, resetMillis })
    }
  )

  it("is absent when a header is missing or not a number", () => {
    const cases: ReadonlyArray<ResponseHeaders> = [
      {},
      { "x-ratelimit-remaining": "5" },
      { "x-ratelimit-reset": "5" },
      { "x-ratelimit-limit": "100" },
      { ratelimit: `"default"` },
      { ratelimit: `"default";r=5` },
      { ratelimit: `"default";t=5` },
      { ratelimit: "limit=100" },
      ...["", "-1", "five", "1.5", "1e3", "5, six", "NaN"].map((remaining) => ({
        "x-ratelimit-remaining": remaining,
        "x-ratelimit-reset": "5"
      })),
      ...["", "-1", "soon", "1e3", "1000000001", "2026-11-23T12:00:00", "9".repeat(400), "NaN"].map((
        reset
      ) => ({
        "x-ratelimit-remaining": "5",
        "x-ratelimit-reset": reset
      }))
    ]
    for (const headers of cases) assert.isUndefined(quotaOf(headers, wallClock), JSON.stringify(headers))
  })
})

describe("the reason of a status that the contract does not declare", () => {
  type Expected = readonly [tag: Reason["_tag"], fate: Fate, isRetryable: boolean, keepsRetryAfter: boolean]

  const ofClass: Record<number, Expected> = {
    1: ["InvalidResponse", "Unknown", false, false],
    2: ["InvalidResponse", "Unknown", false, false],
    3: ["InvalidResponse", "Unknown", false, false],
    4: ["RequestRejected", "Rejected", false, false],
    5: ["Unavailable", "Unknown", true, true]
  }
  const ofStatus: Record<number, Expected> = {
    401: ["Unauthorized", "Rejected", false, false],
    // With a time to come back; without one it is a refusal of the request.
    403: ["RateLimited", "Rejected", true, true],
    408: ["Unavailable", "Unknown", true, true],
    // The conflict may be with our own call in flight; only a vendor's contract knows whether it is transient.
    409: ["Conflict", "Unknown", false, true],
    425: ["Unavailable", "Unknown", true, true],
    429: ["RateLimited", "Rejected", true, true],
    501: ["Unavailable", "Unknown", false, true],
    505: ["Unavailable", "Unknown", false, true]
  }

  for (let hundred = 1; hundred <= 5; hundred++) {
    it(`is as documented for every status from ${hundred}00 to ${hundred}99`, () => {
      for (let status = hundred * 100; status < (hundred + 1) * 100; status++) {
        const [tag, fate, isRetryable, keepsRetryAfter] = ofStatus[status] ?? ofClass[hundred]!
        const reason = reasonOf({ status, retryAfterMillis: 7_000, quota: undefined })
        assert.strictEqual(reason._tag, tag, `${status}`)
        assert.strictEqual(reason.fate, fate, `${status}`)
        assert.strictEqual(reason.isRetryable, isRetryable, `${status}`)
        assert.strictEqual(reason.retryAfterMillis, keepsRetryAfter ? 7_000 : undefined, `${status}`)
        assert.propertyVal(reason, "status", status)
        const untimed = reasonOf({ status, retryAfterMillis: undefined, quota: undefined })
        assert.isUndefined(untimed.retryAfterMillis)
        assert.strictEqual(untimed._tag, status === 403 ? "RequestRejected" : tag)
      }
    })
  }
})
