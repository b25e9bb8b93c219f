/** A local time zone other than UTC, for the tests of a `describe`: a date without a zone must not be read in it. */
import { afterAll, assert, beforeAll } from "@effect/vitest"

export const inNewYork = (): void => {
  const zone = process.env["TZ"]
  beforeAll(() => {
    process.env["TZ"] = "America/New_York"
    assert.strictEqual(new Date(0).getTimezoneOffset(), 300)
  })
  afterAll(() => {
    if (zone === undefined) delete process.env["TZ"]
    else process.env["TZ"] = zone
  })
}
