/**
 * The secrets a vendor has refused, by key. One refusal may be a slip of the vendor's; after the second the secret is
 * dead: calls are not sent with it any more, except for one now and then that finds out whether it is accepted again.
 * Of a secret only a keyed digest is held.
 */
import * as Redacted from "effect/Redacted"
import { createHmac, randomBytes } from "node:crypto"

/** How many keys with a refused secret are remembered (ours). */
const maxKeys = 10_000

interface Refused {
  readonly digest: string
  isDead: boolean
  /** From when on a call may find out whether the secret is accepted again. */
  probeAt: number
}

export class Refusals {
  private readonly pauseMillis: number
  private readonly byKey = new Map<string, Refused>()
  /** Nobody who sees a digest can try secrets on it. */
  private readonly pepper = randomBytes(32)

  /** `pauseMillis` is how long a dead secret is left alone. */
  constructor(pauseMillis: number) {
    this.pauseMillis = pauseMillis
  }

  /** Keys whose secret is dead. */
  get dead(): number {
    let dead = 0
    for (const refused of this.byKey.values()) if (refused.isDead) dead++
    return dead
  }

  /** How long a call has to wait with this secret, in milliseconds; 0 when it may be sent. */
  pause(key: string, secret: Redacted.Redacted, now: number): number {
    if (this.byKey.size === 0) return 0
    const refused = this.byKey.get(key)
    if (refused === undefined || !refused.isDead || refused.digest !== this.digest(secret)) return 0
    if (now < refused.probeAt) return refused.probeAt - now
    refused.probeAt = now + this.pauseMillis
    return 0
  }

  /** The secret was refused; `isSecond` when another of the same key was as well. Whether it is dead now, and was not. */
  refuse(key: string, secret: Redacted.Redacted, now: number, isSecond: boolean): boolean {
    const digest = this.digest(secret)
    const known = this.byKey.get(key)
    const isKnown = known?.digest === digest
    const refused = { digest, isDead: isSecond || isKnown, probeAt: now + this.pauseMillis }
    this.byKey.delete(key)
    this.byKey.set(key, refused)
    if (this.byKey.size > maxKeys) this.byKey.delete(this.byKey.keys().next().value!)
    return refused.isDead && !(known?.isDead ?? false)
  }

  /** The vendor has answered to a secret of this key. Whether the key had a dead one until now. */
  accept(key: string): boolean {
    if (this.byKey.size === 0) return false
    const refused = this.byKey.get(key)
    this.byKey.delete(key)
    return refused?.isDead ?? false
  }

  private digest(secret: Redacted.Redacted): string {
    return createHmac("sha256", this.pepper).update(Redacted.value(secret)).digest("base64")
  }
}
