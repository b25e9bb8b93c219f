/**
 * Countries from a package: the data of mledoze/countries, published on npm as `world-countries` under the Open Database
 * License. They need no network and are never newer than the package. Simulators serve them, and a service falls back to
 * them when every vendor is down. `world-countries` is an optional peer dependency: install it to use this module.
 *
 * @example
 * ```ts
 * import * as BundledCountries from "@breakwater/vendors/countries/bundled"
 * import { Effect } from "effect"
 *
 * const countries = await Effect.runPromise(BundledCountries.countries)
 * console.log(countries.length) // => 250
 * ```
 */
import { Provenance, Vendor } from "@breakwater/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Countries, type Country, Iso2, UnknownCountry } from "./Countries.ts"
import { callingCodeOf, currenciesOf, inOrder, regionOf, textOf } from "./CountryFields.ts"

/** The name of the data in provenance and metrics. */
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

/**
 * All countries, ordered by code. The data is more than a megabyte, so it is read once, at the first use. Fails when the
 * package `world-countries` is not installed.
 */
export const countries: Effect.Effect<ReadonlyArray<Country>, Vendor.VendorMisconfigured> = Effect.suspend(() =>
  known === undefined ? Effect.map(data, ({ default: records }) => known ??= parse(records)) : Effect.succeed(known)
)

/** {@link countries} for a vendor's simulator, whose mistake it is when the package is not installed. */
export const servedBy = (vendor: string): Effect.Effect<ReadonlyArray<Country>, Vendor.VendorMisconfigured> =>
  Effect.mapError(
    countries,
    () =>
      new Vendor.VendorMisconfigured({
        vendor,
        message: "the simulator serves the data of the package world-countries: install it"
      })
  )

let known: ReadonlyArray<Country> | undefined

/** The `try` lets a bundler accept that the package is missing. */
const data = Effect.filterOrFail(
  Effect.promise(async () => {
    try {
      return await import("world-countries")
    } catch {
      return undefined
    }
  }),
  (data) => data !== undefined,
  () =>
    new Vendor.VendorMisconfigured({
      vendor: name,
      message: "install the package world-countries, or set bundled: false"
    })
)

/** All callers get the same objects, so none can change them. */
const parse = (records: unknown): ReadonlyArray<Country> =>
  Object.freeze(inOrder(Schema.decodeUnknownSync(Schema.Array(Record))(records).map(toCountry)))

const toCountry = (record: typeof Record.Type): Country =>
  Object.freeze({
    name: record.name.common,
    iso2: record.cca2,
    iso3: textOf(record.cca3),
    isoNumeric: textOf(record.ccn3),
    capital: textOf(record.capital[0]),
    currencies: Object.freeze(currenciesOf(Object.keys(record.currencies))),
    callingCode: callingCodeOf(`${record.idd.root}${record.idd.suffixes[0] ?? ""}`),
    region: regionOf(record.region),
    subregion: textOf(record.subregion)
  })

/** {@link Countries} from the bundled data. It calls no vendor and cannot fail once it is made. */
export const make: Effect.Effect<Countries["Service"], Vendor.VendorMisconfigured> = Effect.map(
  countries,
  (all) =>
    Countries.of({
      list: () => Effect.succeed({ value: all, provenance: Provenance.fresh }),
      byCode: (iso2) => {
        const country = all.find((country) => country.iso2 === iso2)
        return country === undefined
          ? Effect.fail(new UnknownCountry({ iso2 }))
          : Effect.succeed({ value: country, provenance: Provenance.fresh })
      }
    })
)

/** {@link make} as a layer. */
export const layer: Layer.Layer<Countries, Vendor.VendorMisconfigured> = Layer.effect(Countries, make)
