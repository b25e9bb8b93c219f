/** Carries the reason for a failed connection through undici, to the requests that wait for it. */
import type { Reason } from "../Reason.ts"

export class NoConnection extends Error {
  readonly reason: Reason
  constructor(reason: Reason) {
    super(reason.message)
    this.reason = reason
  }
}
