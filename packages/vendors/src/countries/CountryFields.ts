/** Normalizes the fields of {@link Country}, which each vendor writes differently. */
import * as Schema from "effect/Schema"
import { Currency } from "../Money.ts"
import type { Country, Region } from "./Countries.ts"

/**
 * The country code at the start of a number. Vendors write it with or without its plus sign, and sometimes with an area
 * code: `49`, `+1-242`, `+1242`. No code of ITU-T E.164 is a prefix of another. They have one digit in zones 1 and 7, two
 * where the list below has them, and three elsewhere (list of assigned codes, annex to the ITU Operational Bulletin).
 */
export const callingCodeOf = (written: string | null | undefined): string | undefined => {
  const digits = (written ?? "").replaceAll(/\D/g, "")
  const code = /^(?:[17]|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[2-9]\d\d)/.exec(digits)?.[0]
  return code === undefined ? undefined : `+${code}`
}

/** The region with this name. Vendors use several names for Antarctica. */
export const regionOf = (written: string | null | undefined): Region | undefined => {
  const name = written ?? ""
  switch (name) {
    case "Africa":
    case "Americas":
    case "Asia":
    case "Europe":
    case "Oceania":
      return name
    case "Antarctic":
    case "Antarctica":
    case "Polar":
      return "Antarctic"
    default:
      return undefined
  }
}

/** The valid currency codes; others are dropped. */
export const currenciesOf = (written: ReadonlyArray<string | null | undefined>): ReadonlyArray<Currency> =>
  written.filter(Schema.is(Currency))

/** The trimmed text. Missing, null and blank values are all `undefined`. */
export const textOf = (written: string | null | undefined): string | undefined =>
  written === null || written === undefined || written.trim() === "" ? undefined : written.trim()

/** The countries without duplicates, ordered by code. */
export const inOrder = (countries: Iterable<Country>): ReadonlyArray<Country> =>
  [...new Map(Array.from(countries, (country) => [country.iso2, country] as const)).values()]
    .toSorted((a, b) => a.iso2 < b.iso2 ? -1 : 1)
