/**
 * Additive increase, multiplicative decrease: one more for an answer, a tenth less for a drop (Chiu and Jain, "Analysis
 * of the Increase and Decrease Algorithms for Congestion Avoidance", 1989). The numbers are those of `AIMDLimit` in
 * Netflix's concurrency-limits.
 */
import { type Bounds, clamp, type Learner, type Sample } from "./Learner.ts"

export interface AimdSettings {
  readonly backoff: number
  readonly timeoutMillis: number
}

export class Aimd implements Learner {
  limit: number
  readonly learnsAtRest = false
  private readonly bounds: Bounds
  private readonly settings: AimdSettings

  constructor(bounds: Bounds, settings: AimdSettings) {
    this.bounds = bounds
    this.settings = settings
    this.limit = bounds.initial
  }
  update({ dropped, inflight, rttMillis }: Sample): void {
    if (dropped || rttMillis > this.settings.timeoutMillis) {
      this.limit = clamp(Math.floor(this.limit * this.settings.backoff), this.bounds)
    } else if (inflight * 2 >= this.limit) {
      this.limit = clamp(this.limit + 1, this.bounds)
    }
  }
}
