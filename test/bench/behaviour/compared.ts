import type { Row } from "../Suite.ts"

/** A row of two counts: nothing against nothing is even. */
export const compared = (name: string, unit: string, ours: number, peer: number, bar?: number): Row => ({
  name,
  unit,
  ours,
  peer,
  ratio: ours === peer ? 1 : ours / peer,
  bar
})
