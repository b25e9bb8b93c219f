/**
 * What shipping would take and cost, by zones: a table of ours, worked out here from the country alone. There is no carrier
 * behind it, so it cannot fail, and it is an estimate that no order may be priced by.
 */
import type { Money } from "@breakwater/vendors"
import type { Country, Region } from "@breakwater/vendors/countries"

export interface Estimate {
  readonly zone: Zone
  /** Working days, from and up to. */
  readonly days: readonly [from: number, to: number]
  readonly cost: Money
}

type Zone = "domestic" | "region" | "near" | "far"

/** Where parcels leave from. */
const origin = { iso2: "DE", region: "Europe" }

/** An estimate for a country; `undefined` where nothing is sent to. */
export const estimate = ({ iso2, region }: Pick<Country, "iso2" | "region">): Estimate | undefined => {
  if (region === "Antarctic") return undefined
  const zone = iso2 === origin.iso2 ? "domestic" : region === origin.region ? "region" : zoneOf(region)
  return { zone, ...tariffs[zone] }
}

/** What is not known is far: an estimate should not be too low. */
const zoneOf = (region: Region | undefined): Zone => region === "Africa" || region === "Asia" ? "near" : "far"

const tariffs: Readonly<Record<Zone, Omit<Estimate, "zone">>> = {
  domestic: { days: [1, 2], cost: { amount: 490, currency: "EUR" } },
  region: { days: [2, 5], cost: { amount: 990, currency: "EUR" } },
  near: { days: [5, 10], cost: { amount: 1_990, currency: "EUR" } },
  far: { days: [7, 14], cost: { amount: 2_490, currency: "EUR" } }
}
