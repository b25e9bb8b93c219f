/**
 * Shipping estimates by zone: days and cost from our own table, by country alone. It calls no carrier, so it cannot fail.
 * It is an estimate, and must not price an order.
 */
import type { Money } from "@breakwater/vendors"
import type { Country, Region } from "@breakwater/vendors/countries"

export interface Estimate {
  readonly zone: Zone
  /** Working days: the fewest and the most. */
  readonly days: readonly [from: number, to: number]
  readonly cost: Money
}

type Zone = "domestic" | "region" | "near" | "far"

/** The country that parcels leave from. */
const origin = { iso2: "DE", region: "Europe" }

/** An estimate for a country; `undefined` for a country that we do not ship to. */
export const estimate = ({ iso2, region }: Pick<Country, "iso2" | "region">): Estimate | undefined => {
  if (region === "Antarctic") return undefined
  const zone = iso2 === origin.iso2 ? "domestic" : region === origin.region ? "region" : zoneOf(region)
  return { zone, ...tariffs[zone] }
}

/** An unknown region counts as far, so that the estimate is not too low. */
const zoneOf = (region: Region | undefined): Zone => region === "Africa" || region === "Asia" ? "near" : "far"

const tariffs: Readonly<Record<Zone, Omit<Estimate, "zone">>> = {
  domestic: { days: [1, 2], cost: { amount: 490, currency: "EUR" } },
  region: { days: [2, 5], cost: { amount: 990, currency: "EUR" } },
  near: { days: [5, 10], cost: { amount: 1_990, currency: "EUR" } },
  far: { days: [7, 14], cost: { amount: 2_490, currency: "EUR" } }
}
