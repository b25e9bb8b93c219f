import { callingCodeOf, currenciesOf, inOrder, regionOf, textOf } from "@breakwater/vendors/countries/CountryFields"
import { assert, describe, it } from "@effect/vitest"

describe("the fields of a country, as vendors write them", () => {
  // Codes as ITU-T E.164 assigns them.
  it.each([
    ["49", "+49"],
    ["+49", "+49"],
    ["1", "+1"],
    ["1-242", "+1"],
    ["+1-809 and 1-829", "+1"],
    ["+1242", "+1"],
    ["7", "+7"],
    ["+77", "+7"],
    ["20", "+20"],
    ["211", "+211"],
    ["27", "+27"],
    ["290", "+290"],
    ["298", "+298"],
    ["350", "+350"],
    ["358-18", "+358"],
    ["380", "+380"],
    ["3906698", "+39"],
    ["420", "+420"],
    ["44-1481", "+44"],
    ["500", "+500"],
    ["58", "+58"],
    ["590", "+590"],
    ["672", "+672"],
    ["66", "+66"],
    ["82", "+82"],
    ["852", "+852"],
    ["880", "+880"],
    ["95", "+95"],
    ["960", "+960"],
    ["98", "+98"],
    ["998", "+998"]
  ])("begins a number with its country code: %s", (written, code) => {
    assert.strictEqual(callingCodeOf(written), code)
  })

  it.each([undefined, null, "", "+", "0", "none", "2", "21"])("has no calling code in %j", (written) => {
    assert.isUndefined(callingCodeOf(written))
  })

  it("has regions under several names, and rejects other names", () => {
    assert.deepStrictEqual(
      ["Europe", "Polar", "Antarctic", "Antarctica", "europe", "", null, undefined].map(regionOf),
      ["Europe", "Antarctic", "Antarctic", "Antarctic", undefined, undefined, undefined, undefined]
    )
  })

  it("drops invalid currencies and blank texts", () => {
    assert.deepStrictEqual(currenciesOf(["EUR", "eur", "", null, undefined, "(none)", "USD"]), ["EUR", "USD"])
    assert.deepStrictEqual([" Bern ", "", " ", null, undefined].map(textOf), [
      "Bern",
      undefined,
      undefined,
      undefined,
      undefined
    ])
  })

  it("lists a repeated country once", () => {
    const country = (iso2: string, name: string) =>
      ({ iso2, name }) as Parameters<typeof inOrder>[0] extends Iterable<infer C> ? C : never
    assert.deepStrictEqual(inOrder([country("SE", "a"), country("AT", "b"), country("SE", "c")]), [
      country("AT", "b"),
      country("SE", "c")
    ])
  })
})
