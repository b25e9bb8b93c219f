/** The suite that every implementation of `Countries` must pass, for all vendors. */
import * as Provenance from "@breakwater/core/Provenance"
import { Countries, type Region } from "@breakwater/vendors/countries/Countries"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"

/** ISO 3166-1 and 4217, ITU-T E.164, and the regions of the United Nations' M49. */
const published: ReadonlyArray<
  [
    name: string,
    iso2: string,
    iso3: string,
    isoNumeric: string,
    capital: string | undefined,
    currencies: ReadonlyArray<string> | undefined,
    callingCode: string | undefined,
    region: Region
  ]
> = [
  ["Germany", "DE", "DEU", "276", "Berlin", ["EUR"], "+49", "Europe"],
  ["United States", "US", "USA", "840", "Washington D.C.", ["USD"], "+1", "Americas"],
  ["Canada", "CA", "CAN", "124", "Ottawa", ["CAD"], "+1", "Americas"],
  ["Jamaica", "JM", "JAM", "388", "Kingston", ["JMD"], "+1", "Americas"],
  ["Japan", "JP", "JPN", "392", "Tokyo", ["JPY"], "+81", "Asia"],
  ["Kazakhstan", "KZ", "KAZ", "398", "Astana", ["KZT"], "+7", "Asia"],
  ["Kenya", "KE", "KEN", "404", "Nairobi", ["KES"], "+254", "Africa"],
  // Three currencies are in use, and vendors differ.
  ["Western Sahara", "EH", "ESH", "732", "El Aaiún", undefined, "+212", "Africa"],
  ["New Zealand", "NZ", "NZL", "554", "Wellington", ["NZD"], "+64", "Oceania"],
  ["Vatican City", "VA", "VAT", "336", "Vatican City", ["EUR"], "+39", "Europe"],
  ["Antarctica", "AQ", "ATA", "010", undefined, [], undefined, "Antarctic"]
]

export const suite = <E>(name: string, layer: Layer.Layer<Countries, E>): void => {
  const behaves = <A, F>(behaviour: string, test: (countries: Countries["Service"]) => Effect.Effect<A, F>) =>
    it.live(behaviour, () => Effect.provide(Effect.flatMap(Countries, test), layer))

  describe(`Countries by ${name}`, () => {
    behaves("returns the published facts of a country", (countries) =>
      Effect.gen(function*() {
        for (const [name, iso2, iso3, isoNumeric, capital, paid, callingCode, region] of published) {
          const { provenance, value: { currencies, subregion, ...country } } = yield* countries.byCode(iso2)
          assert.deepStrictEqual(country, { name, iso2, iso3, isoNumeric, capital, callingCode, region })
          if (paid !== undefined) assert.deepStrictEqual(currencies, paid)
          assert.notStrictEqual(subregion, "")
          assert.deepStrictEqual(provenance, { _tag: "Fresh" })
        }
      }))

    behaves(
      "lists each country once, ordered by code, equal to its single lookup",
      (countries) =>
        Effect.gen(function*() {
          const { value } = yield* countries.list()
          const codes = value.map(({ iso2 }) => iso2)
          // 249 officially assigned codes, and Kosovo.
          assert.isAtLeast(codes.length, 249)
          assert.deepStrictEqual(codes, [...new Set(codes)].toSorted())
          for (const iso2 of ["AD", "JP", "US", "ZW"]) {
            assert.deepStrictEqual(
              value.find((country) => country.iso2 === iso2),
              (yield* countries.byCode(iso2)).value
            )
          }
        })
    )

    behaves(
      "has codes, currencies and calling codes in standard form, for all countries",
      (countries) =>
        Effect.gen(function*() {
          for (const country of (yield* countries.list()).value) {
            assert.match(country.iso2, /^[A-Z]{2}$/)
            assert.match(country.iso3 ?? "AAA", /^[A-Z]{3}$/)
            assert.match(country.isoNumeric ?? "000", /^\d{3}$/)
            assert.match(country.callingCode ?? "+1", /^\+[1-9]\d{0,2}$/)
            for (const currency of country.currencies) assert.match(currency, /^[A-Z]{3}$/)
            assert.isDefined(country.region, country.name)
          }
        })
    )

    behaves("finds no country for an unassigned code", (countries) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(countries.byCode("ZZ"))
        if (error._tag !== "UnknownCountry") return assert.fail(error.message)
        assert.strictEqual(error.iso2, "ZZ")
      }))

    behaves("reports the provenance to an enclosing withProvenance too", (countries) =>
      Effect.gen(function*() {
        const one = yield* countries.byCode("CH").pipe(Provenance.withProvenance)
        assert.deepStrictEqual(one.provenance, one.value.provenance)
        const all = yield* countries.list({ maxAge: "1 day" }).pipe(Provenance.withProvenance)
        assert.deepStrictEqual(all.provenance, all.value.provenance)
      }))
  })
}
