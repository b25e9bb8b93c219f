/**
 * The countries of the world, as a form or a checkout needs them: names, codes, money, calling codes. Who is a country is the
 * vendor's view (Kosovo's `XK` is in all of them, and is no ISO code), and so is what is known: what a vendor does not say is
 * `undefined`.
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
  /** What it is usually called, in English. */
  readonly name: string
  readonly iso2: Iso2
  /** ISO 3166-1 alpha-3. */
  readonly iso3: string | undefined
  /** ISO 3166-1 numeric, three digits. */
  readonly isoNumeric: string | undefined
  /** In English; where there are several, the one that the vendor names first. */
  readonly capital: string | undefined
  /** What is paid with there, the vendor's most important first; empty where nobody lives. */
  readonly currencies: ReadonlyArray<Currency>
  /** The country code of ITU-T E.164 with its plus: `+49`; `+1` for all who share it. */
  readonly callingCode: string | undefined
  readonly region: Region | undefined
  /** A part of the region, in the vendor's words. */
  readonly subregion: string | undefined
}

/** There is no country of this code. */
export class UnknownCountry extends Schema.TaggedError<UnknownCountry>()("UnknownCountry", { iso2: Iso2 }) {
  override get message() {
    return `there is no country ${this.iso2}`
  }
}

export class Countries extends Context.Service<Countries, {
  /** All of them, in the order of their codes. */
  list(use?: UseOptions): Effect.Effect<Provenance.Sourced<ReadonlyArray<Country>>, VendorError>
  /** The one of an ISO 3166-1 alpha-2 code. */
  byCode(iso2: Iso2, use?: UseOptions): Effect.Effect<Provenance.Sourced<Country>, UnknownCountry | VendorError>
}>()("breakwater/vendors/Countries") {}
