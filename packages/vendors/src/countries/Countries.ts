/**
 * The countries of the world, as a form or a checkout needs them: names, codes, currencies, calling codes. The vendor decides
 * which countries there are: all of them list Kosovo as `XK`, which is not an ISO code. A field that the vendor does not give
 * is `undefined`.
 *
 * @example
 * ```ts
 * import * as Countries from "@breakwater/vendors/countries"
 * import * as BundledCountries from "@breakwater/vendors/countries/bundled"
 * import { Effect } from "effect"
 *
 * const germany = Effect.flatMap(Countries.Countries, (countries) => countries.byCode("DE"))
 * const { value } = await Effect.runPromise(Effect.provide(germany, BundledCountries.layer))
 * console.log(value.name, value.currencies, value.callingCode) // => Germany [ 'EUR' ] +49
 * ```
 */
import type { Provenance, VendorError } from "@breakwater/core"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Currency } from "../Money.ts"
import type { UseOptions } from "../Use.ts"

/** An ISO 3166-1 alpha-2 code in upper case. */
export const Iso2 = Schema.String.check(
  Schema.isPattern(/^[A-Z]{2}$/, { expected: "a country code of two capital letters" })
)
export type Iso2 = typeof Iso2.Type

export const Region = Schema.Literals(["Africa", "Americas", "Antarctic", "Asia", "Europe", "Oceania"])
export type Region = typeof Region.Type

export interface Country {
  /** The usual name, in English. */
  readonly name: string
  readonly iso2: Iso2
  /** ISO 3166-1 alpha-3. */
  readonly iso3: string | undefined
  /** ISO 3166-1 numeric, three digits. */
  readonly isoNumeric: string | undefined
  /** In English. Of several, the one that the vendor lists first. */
  readonly capital: string | undefined
  /** The currencies in use, the most important first as the vendor orders them. Empty for uninhabited territories. */
  readonly currencies: ReadonlyArray<Currency>
  /** The country code of ITU-T E.164 with its plus sign: `+49`. Countries that share a code all have it, such as `+1`. */
  readonly callingCode: string | undefined
  readonly region: Region | undefined
  /** A part of the region, in the vendor's words. */
  readonly subregion: string | undefined
}

/** No country has this code. */
export class UnknownCountry extends Schema.TaggedError<UnknownCountry>()("UnknownCountry", { iso2: Iso2 }) {
  override get message() {
    return `no country has the code ${this.iso2}`
  }
}

export class Countries extends Context.Service<Countries, {
  /** All countries, ordered by code. */
  list(use?: UseOptions): Effect.Effect<Provenance.Sourced<ReadonlyArray<Country>>, VendorError>
  /** The country with an ISO 3166-1 alpha-2 code. */
  byCode(iso2: Iso2, use?: UseOptions): Effect.Effect<Provenance.Sourced<Country>, UnknownCountry | VendorError>
}>()("breakwater/vendors/Countries") {}
