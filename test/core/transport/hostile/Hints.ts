import { RateLimited, Unavailable } from "@breakwater/core/VendorError"
import { answer, answering, named, type Row, type Section } from "./Row.ts"

/** Refuses once with this hint, and then succeeds. */
const retryAfter = (does: string, hint: string, gets: Row["gets"], requests: number, status = "429 No"): Row => ({
  does: `${does} (Retry-After: ${hint.length > 30 ? `${hint.slice(0, 30)}…` : hint})`,
  server: {
    onRequest: (connection, index) =>
      connection.write(index === 0 ? answer("{}", [`retry-after: ${hint}`], status) : named("second attempt"))
  },
  gets,
  requests,
  connection: "kept",
  policy: { retry: { base: 0, retries: 1 } }
})

const again = { name: "second attempt" }

/** A response with headers about the caller's quota. */
const allowance = (does: string, headers: ReadonlyArray<string>): Row => ({
  does: `${does} (${headers.join(", ")})`,
  server: answering(answer("{\"name\":\"anvil\"}", headers)),
  gets: { name: "anvil" },
  connection: "kept",
  policy: { rateLimit: { limit: 10, window: "1 second" } }
})

export const hints: Section = {
  title: "Hints about when to come back",
  rows: [
    retryAfter(
      "refuses for thirty years",
      "999999999",
      new RateLimited(429, { retryAfterMillis: 999_999_999_000 }),
      1
    ),
    retryAfter(
      "is unavailable for an hour",
      "3600",
      new Unavailable(503, { retryAfterMillis: 3_600_000 }),
      1,
      "503 No"
    ),
    // No plausible time in any unit: it counts as a header that cannot be read.
    retryAfter("refuses forever", "9".repeat(400), again, 2),
    retryAfter("refuses for a negative time", "-10", again, 2),
    retryAfter("refuses until a date long past", "Thu, 01 Jan 1970 00:00:00 GMT", again, 2),
    retryAfter("refuses until an invalid date", "Thu, 99 Foo 2026 99:99:99 GMT", again, 2),
    retryAfter("refuses until soon", "soon", again, 2),
    retryAfter("refuses for a hexadecimal time", "0x10", again, 2),
    retryAfter("refuses for a time in exponent form", "1e9", again, 2),
    retryAfter("refuses with an empty hint", "", again, 2),
    allowance("sends a quota that is not a number", ["ratelimit-remaining: many", "ratelimit-reset: soon"]),
    allowance("sends a negative quota", ["x-ratelimit-remaining: -5", "x-ratelimit-reset: -1"]),
    allowance("sends a quota beyond all numbers", [`ratelimit: "default";r=${"9".repeat(400)};t=1`]),
    allowance("sends a malformed quota", ["ratelimit: ;;;===\"r=0"])
  ]
}
