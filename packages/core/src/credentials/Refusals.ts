/**
 * The secrets that a vendor has refused, by key. One refusal may be a slip of the vendor's; after the second one the
 * secret is dead. Calls are then not sent with it, except for an occasional probe that tests whether it is accepted
 * again. Only a keyed digest of a secret is stored.
 */
import * as Redacted from "effect/Redacted"
import { createHmac, randomBytes } from "node:crypto"

/** The most keys with a refused secret; beyond it the oldest is forgotten. */
const maxKeys = 10_000

interface Refused {
  readonly digest: string
  isDead: boolean
  /** When a call may next test whether the secret is accepted again. */
  probeAt: number
}

export class Refusals {
  private readonly pauseMillis: number
  private readonly byKey = new Map<string, Refused>()
  /** A random key for the digests, so nobody can test guessed secrets against them. */
  private readonly pepper = randomBytes(32)

  /** `pauseMillis` is the time between two probes of a dead secret. */
  constructor(pauseMillis: number) {
    this.pauseMillis = pauseMillis
  }

  /** The number of keys whose secret is dead. */
  get dead(): number {
    let dead = 0
    for (const refused of this.byKey.values()) if (refused.isDead) dead++
    return dead
  }

  /** How long a call with this secret must wait, in milliseconds; 0 if it may be sent. */
  pause(key: string, secret: Redacted.Redacted, now: number): number {
    if (this.byKey.size === 0) return 0
    const refused = this.byKey.get(key)
    if (refused === undefined || !refused.isDead || refused.digest !== this.digest(secret)) return 0
    if (now < refused.probeAt) return refused.probeAt - now
    refused.probeAt = now + this.pauseMillis
    return 0
  }

  /**
   * Records a refusal; `isSecond` if another secret of the same key was refused as well. Returns whether the secret has
   * just become dead.
   */
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

  /** Records that the vendor accepted a secret of this key. Returns whether the key's secret was dead until now. */
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
