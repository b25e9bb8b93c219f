/** Failures of `breakwater secrets`. */
import * as Refused from "../Refused.ts"

export const refused = Refused.by("secrets")
