/**
 * Bounds the load that retries add to a vendor, over all operations that share the budget. In any span of time it
 * allows at most `reserve` retries, plus `ratio` per call, plus `perSecond`. A dead vendor gets at most about 1.1
 * requests per call. The 10 % are those of Google's SRE book, chapter 21; the shape is that of Finagle's RetryBudget.
 * Defaults without a source are our own judgement.
 *
 * Why a budget and not just three retries? Because three nested clients with three retries each send 64 requests to a
 * vendor that is already down.
 *
 * @example
 * ```ts
 * import { RetryBudget } from "@breakwater/core"
 *
 * const budget = RetryBudget.make({ ratio: 0.1, reserve: 2, perSecond: 0 })
 * console.log(budget.withdraw(0), budget.withdraw(0), budget.withdraw(0)) // => true true false
 * for (let call = 0; call < 10; call++) budget.deposit(0)
 * console.log(budget.withdraw(0)) // => true
 * ```
 */
import * as Range from "../Range.ts"

export interface RetryBudgetOptions {
  /** Retries earned per call, from 0 to 1. @default 0.1 (Google's SRE book, chapter 21) */
  readonly ratio?: number | undefined
  /** Retries that can be saved up, and that a new budget holds; at least 0. @default 10 */
  readonly reserve?: number | undefined
  /** Retries earned per second, so that a service with few calls has some; at least 0. @default 0.1 */
  readonly perSecond?: number | undefined
}

export interface RetryBudget {
  /** Adds the share of a new call to the budget. */
  deposit(now: number): void
  /** Pays for a retry; `false` when the budget is empty. */
  withdraw(now: number): boolean
  /** Retries that the budget allows now. */
  balance(now: number): number
}

/** Makes a budget. Throws when an option is out of its range. */
export const make = (options: RetryBudgetOptions = {}): RetryBudget => new Budget(options)

class Budget implements RetryBudget {
  private readonly ratio: number
  private readonly capacity: number
  private readonly perMilli: number
  declare private saved: number
  private at = -Infinity

  constructor(options: RetryBudgetOptions) {
    const reserve = Range.atLeast("RetryBudget: reserve", options.reserve ?? 10, 0)
    this.ratio = Range.between("RetryBudget: ratio", options.ratio ?? 0.1, 0, 1)
    this.perMilli = Range.atLeast("RetryBudget: perSecond", options.perSecond ?? 0.1, 0) / 1_000
    // The capacity is at least one whole retry, or a budget without a reserve could never pay for one.
    this.capacity = Math.max(reserve, 1)
    this.saved = reserve
  }

  deposit(now: number) {
    this.accrue(now, this.ratio)
  }
  withdraw(now: number) {
    this.accrue(now, 0)
    // A tenth added ten times is a little less than one.
    if (this.saved < 1 - 1e-9) return false
    this.saved -= 1
    return true
  }
  balance(now: number) {
    this.accrue(now, 0)
    return this.saved
  }

  private accrue(now: number, earned: number) {
    const passed = this.at === -Infinity ? 0 : now - this.at
    this.saved = Math.min(this.capacity, this.saved + earned + passed * this.perMilli)
    this.at = now
  }
}
