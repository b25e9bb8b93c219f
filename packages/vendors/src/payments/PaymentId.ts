/**
 * Ids that our callers see: opaque, and yet enough to find the vendor and its object again without a store of our own.
 */

/** Makes an id of ours from a vendor's. */
export const encode = (prefix: "pay" | "ref", vendor: string, vendorId: string): string =>
  `${prefix}_${Buffer.from(`${vendor}:${vendorId}`).toString("base64url")}`

/** The vendor's id in one of ours; `undefined` when it is none, or another vendor's. */
export const decode = (prefix: "pay" | "ref", vendor: string, id: string): string | undefined => {
  if (!id.startsWith(`${prefix}_`)) return undefined
  const plain = Buffer.from(id.slice(prefix.length + 1), "base64url").toString("utf8")
  const vendorId = plain.slice(vendor.length + 1)
  // An id that is spelt otherwise is not ours.
  return plain.startsWith(`${vendor}:`) && encode(prefix, vendor, vendorId) === id ? vendorId : undefined
}
