/**
 * The countries that come with the package: the data of mledoze/countries by way of npm's `world-countries`, under the Open
 * Database License. They are always there and never newer than the package; simulators serve them, and they are what is left
 * when every vendor is out.
 *
 * @example
 * ```ts
 * import { BundledCountries } from "@breakwater/vendors"
 *
 * console.log(BundledCountries.countries().length) // => 250
 * ```
 */
import { Provenance } from "@breakwater/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { createRequire } from "node:module"
import { Countries, type Country, Iso2, UnknownCountry } from "./Countries.ts"
import { callingCodeOf, currenciesOf, inOrder, regionOf, textOf } from "./words.ts"

/** What goes before the name of the data in provenance and metrics. */
export const name = "world-countries"

const Record = Schema.Struct({
  name: Schema.Struct({ common: Schema.String }),
  cca2: Iso2,
  cca3: Schema.String,
  ccn3: Schema.String,
  currencies: Schema.Record(Schema.String, Schema.Unknown),
  idd: Schema.Struct({ root: Schema.String, suffixes: Schema.Array(Schema.String) }),
  capital: Schema.Array(Schema.String),
  region: Schema.String,
  subregion: Schema.String
})

let known: ReadonlyArray<Country> | undefined

/** All of them, in the order of their codes. Read when they are first asked for: it is more than a megabyte. */
export const countries = (): ReadonlyArray<Country> => known ??= inOrder(read().map(toCountry))

const read = (): ReadonlyArray<typeof Record.Type> => {
  const require = createRequire(import.meta.url)
  return Schema.decodeUnknownSync(Schema.Array(Record))(require("world-countries"))
}

const toCountry = (record: typeof Record.Type): Country => ({
  name: record.name.common,
  iso2: record.cca2,
  iso3: textOf(record.cca3),
  isoNumeric: textOf(record.ccn3),
  capital: textOf(record.capital[0]),
  currencies: currenciesOf(Object.keys(record.currencies)),
  callingCode: callingCodeOf(`${record.idd.root}${record.idd.suffixes[0] ?? ""}`),
  region: regionOf(record.region),
  subregion: textOf(record.subregion)
})

/** {@link Countries} by what comes with the package. It asks nobody, and cannot fail. */
export const make = Countries.of({
  list: () => Effect.sync(() => ({ value: countries(), provenance: Provenance.fresh })),
  byCode: (iso2) =>
    Effect.suspend(() => {
      const country = countries().find((country) => country.iso2 === iso2)
      return country === undefined
        ? Effect.fail(new UnknownCountry({ iso2 }))
        : Effect.succeed({ value: country, provenance: Provenance.fresh })
    })
})

/** {@link make} as a layer. */
export const layer: Layer.Layer<Countries> = Layer.succeed(Countries, make)
