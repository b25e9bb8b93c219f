/** Whole numbers of a range, ends included, for the arbitrary input of properties. */
import { Schema } from "effect"

export const intBetween = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
