/**
 * The secrets that a vendor has refused, by key and operation. One refusal may be a slip of the vendor's; after the
 * second one in a row the secret is dead for that operation, which it may lack a permission for. A secret refused to
 * two operations, and accepted from none since, is dead for all. Calls are then not sent with it, except for an
 * occasional probe that tests whether it is accepted again. Only a keyed digest of a secret is stored.
 */
import * as Redacted from "effect/Redacted"
import { digestOf } from "./Digest.ts"

/** The most refused pairs of a key and an operation; beyond it the oldest key is forgotten. */
const maxRefused = 10_000

/** Calls that a refusal has made useless: those of one operation with the secret, or all with it. */
export type Dead = "Operation" | "Secret"

/** One refusal by the vendor. */
export interface Refusal {
  readonly key: string
  readonly operation: string
  readonly secret: Redacted.Redacted
  /** When the refused request was sent, and when the refusal is recorded, on the same timeline. */
  readonly sentAt: number
  readonly now: number
  /** Whether the vendor refused another secret of the same key to the same call. */
  readonly isSecond: boolean
}

/** The refusals of one operation. */
interface RefusedOperation {
  /** Number of refusals in a row. Concurrent ones count as one: they may be the same slip. */
  refusals: number
  /** Whether the vendor accepts the same secret from another operation, so that the refusal is about this one. */
  isOwn: boolean
  refusedAt: number
  /** When a call may next test whether the secret is accepted again. */
  probeAt: number
}

/** The refused secret of one key. */
interface Refused {
  readonly digest: string
  readonly operations: Map<string, RefusedOperation>
  isDead: boolean
  /** When an operation that was not refused itself may test a dead secret. */
  probeAt: number
}

export class Refusals {
  private readonly pauseMillis: number
  private readonly byKey = new Map<string, Refused>()
  /** Number of pairs of a key and an operation. */
  private size = 0

  /** `pauseMillis` is the time between two probes of an operation with a dead secret. */
  constructor(pauseMillis: number) {
    this.pauseMillis = pauseMillis
  }

  /** The number of keys whose secret is dead, for one operation at least. */
  get dead(): number {
    let dead = 0
    for (const refused of this.byKey.values()) {
      if (refused.isDead || Array.from(refused.operations.values()).some(isDead)) dead++
    }
    return dead
  }

  /** How long a call with this secret must wait, in milliseconds; 0 if it may be sent. */
  pause(key: string, operation: string, secret: Redacted.Redacted, now: number): number {
    if (this.byKey.size === 0) return 0
    const refused = this.byKey.get(key)
    if (refused === undefined) return 0
    const known = refused.operations.get(operation)
    if (!refused.isDead && (known === undefined || !isDead(known))) return 0
    if (refused.digest !== digestOf(Redacted.value(secret))) return 0
    const { probeAt } = known ?? refused
    if (now < probeAt) return probeAt - now
    const probing = known ?? this.add(refused, operation)
    probing.probeAt = now + this.pauseMillis
    return 0
  }

  /** Records a refusal. Returns what has just become dead. */
  refuse({ isSecond, key, now, operation, secret, sentAt }: Refusal): Dead | undefined {
    const digest = digestOf(Redacted.value(secret))
    const before = this.byKey.get(key)
    const isKnown = before?.digest === digest
    const refused: Refused = isKnown
      ? before
      : { digest, operations: new Map(), isDead: false, probeAt: now + this.pauseMillis }
    const wasDead = deadIn(before, operation)
    const known = refused.operations.get(operation) ?? this.add(refused, operation)
    if (isSecond) known.refusals = 2
    else if (known.refusals === 0 || sentAt >= known.refusedAt) known.refusals++
    known.refusedAt = now
    known.probeAt = now + this.pauseMillis
    if (!refused.isDead && Array.from(refused.operations.values()).filter(isAboutTheSecret).length > 1) {
      refused.isDead = true
      refused.probeAt = now + this.pauseMillis
    }
    if (!isKnown) this.forget(key)
    // The key becomes the latest one.
    this.byKey.delete(key)
    this.byKey.set(key, refused)
    while (this.size > maxRefused && this.byKey.size > 1) this.forget(this.byKey.keys().next().value!)
    const dead = deadIn(refused, operation)
    return dead === wasDead || wasDead === "Secret" ? undefined : dead
  }

  /** Records that the vendor accepted a secret. Returns whether it was dead for this operation until now. */
  accept(key: string, operation: string, secret: Redacted.Redacted): boolean {
    if (this.byKey.size === 0) return false
    const refused = this.byKey.get(key)
    if (refused === undefined) return false
    const wasDead = deadIn(refused, operation) !== undefined
    if (refused.operations.delete(operation)) this.size--
    if (refused.operations.size === 0 || refused.digest !== digestOf(Redacted.value(secret))) this.forget(key)
    else {
      refused.isDead = false
      for (const other of refused.operations.values()) other.isOwn = true
    }
    return wasDead
  }

  private add(refused: Refused, operation: string): RefusedOperation {
    const added = { refusals: 0, isOwn: false, refusedAt: -Infinity, probeAt: refused.probeAt }
    refused.operations.set(operation, added)
    this.size++
    return added
  }

  private forget(key: string): void {
    this.size -= this.byKey.get(key)?.operations.size ?? 0
    this.byKey.delete(key)
  }
}

const isDead = ({ refusals }: RefusedOperation): boolean => refusals >= 2

/** Whether a refusal may be about the secret, and not about what its operation may do. */
const isAboutTheSecret = ({ isOwn, refusals }: RefusedOperation): boolean => refusals > 0 && !isOwn

const deadIn = (refused: Refused | undefined, operation: string): Dead | undefined => {
  if (refused?.isDead === true) return "Secret"
  const known = refused?.operations.get(operation)
  return known !== undefined && isDead(known) ? "Operation" : undefined
}
