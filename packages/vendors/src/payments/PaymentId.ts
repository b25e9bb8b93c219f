/**
 * Payment ids as our callers see them: opaque, yet enough to find the vendor and its object again without a store.
 */

/** Makes our id from a vendor's id. */
export const encode = (prefix: "pay" | "ref", vendor: string, vendorId: string): string =>
  `${prefix}_${Buffer.from(`${vendor}:${vendorId}`).toString("base64url")}`

/** The vendor's id inside our id; `undefined` when the id is invalid or another vendor's. */
export const decode = (prefix: "pay" | "ref", vendor: string, id: string): string | undefined => {
  if (!id.startsWith(`${prefix}_`)) return undefined
  const plain = Buffer.from(id.slice(prefix.length + 1), "base64url").toString("utf8")
  const vendorId = plain.slice(vendor.length + 1)
  // Any other spelling of the same bytes is rejected.
  return plain.startsWith(`${vendor}:`) && encode(prefix, vendor, vendorId) === id ? vendorId : undefined
}
