import { RateLimited, Unavailable } from "@breakwater/core/VendorError"
import { answer, answering, named, type Row, type Section } from "./Row.ts"

/** Refuses once with this hint, and then answers. */
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

/** An answer that says something of the caller's allowance. */
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
      "refuses, and sends us away for thirty years",
      "999999999",
      new RateLimited(429, { retryAfterMillis: 999_999_999_000 }),
      1
    ),
    retryAfter(
      "is unavailable, and sends us away for an hour",
      "3600",
      new Unavailable(503, { retryAfterMillis: 3_600_000 }),
      1,
      "503 No"
    ),
    retryAfter(
      "refuses, and sends us away for ever",
      "9".repeat(400),
      new RateLimited(429, { retryAfterMillis: Infinity }),
      1
    ),
    retryAfter("refuses, and sends us into the past", "-10", again, 2),
    retryAfter("refuses, and names a day that is long gone", "Thu, 01 Jan 1970 00:00:00 GMT", again, 2),
    retryAfter("refuses, and names a day that never was", "Thu, 99 Foo 2026 99:99:99 GMT", again, 2),
    retryAfter("refuses, and says soon", "soon", again, 2),
    retryAfter("refuses, and says it in hexadecimal", "0x10", again, 2),
    retryAfter("refuses, and says it as a power", "1e9", again, 2),
    retryAfter("refuses, and says nothing at all", "", again, 2),
    allowance("speaks nonsense of our allowance", ["ratelimit-remaining: many", "ratelimit-reset: soon"]),
    allowance("gives a negative allowance", ["x-ratelimit-remaining: -5", "x-ratelimit-reset: -1"]),
    allowance("gives an allowance beyond all numbers", [`ratelimit: "default";r=${"9".repeat(400)};t=1`]),
    allowance("gives an allowance in a form that is none", ["ratelimit: ;;;===\"r=0"])
  ]
}
