/**
 * When a feature goes off and comes back: a state machine that is told the time and whether the vendor is out, and knows
 * nothing else. It holds no timer: what is due is done when somebody asks.
 */

/**
 * - `On`: for everybody.
 * - `Off`: for nobody.
 * - `Returning`: for a share of the callers that grows.
 */
export type State = "On" | "Off" | "Returning"

export interface SwitchSettings {
  readonly offAfterMillis: number
  readonly offForMillis: number
  readonly growth: number
  readonly maxOffForMillis: number
  readonly shares: ReadonlyArray<number>
  readonly stepMillis: number
}

export class Switchboard {
  state: State = "On"
  /** Since when it has been in this state. */
  since: number
  private readonly settings: SwitchSettings
  /** Since when the vendor has been out without a break; `undefined` while it is not. */
  private outSince: number | undefined = undefined
  private step = 0
  private stepSince = 0
  /** How often in a row it went off without having been wholly on in between. */
  private setbacks = 0

  constructor(settings: SwitchSettings, now: number) {
    this.settings = settings
    this.since = now
  }

  /** The share of callers for whom it is on. */
  get share(): number {
    return this.state === "On" ? 1 : this.state === "Off" ? 0 : this.settings.shares[this.step]!
  }
  /** The earliest at which it will be on for anybody, if it is off. */
  get returnsAt(): number {
    const { growth, maxOffForMillis, offForMillis } = this.settings
    return this.since + Math.min(maxOffForMillis, offForMillis * growth ** Math.max(0, this.setbacks - 1))
  }
  /** Does what is due, now that the vendor is seen to be out, or not. */
  update(now: number, isOut: boolean): void {
    this.outSince = isOut ? this.outSince ?? now : undefined
    switch (this.state) {
      case "On":
        if (this.outSince !== undefined && now - this.outSince >= this.settings.offAfterMillis) this.goOff(now)
        break
      case "Off":
        if (!isOut && now >= this.returnsAt) this.become("Returning", now)
        break
      case "Returning":
        // Who is on trial is not waited for.
        if (isOut) this.goOff(now)
        else if (now - this.stepSince >= this.settings.stepMillis) this.advance(now)
    }
  }

  private advance(now: number): void {
    this.stepSince = now
    if (++this.step < this.settings.shares.length) return
    this.setbacks = 0
    this.become("On", now)
  }
  private goOff(now: number): void {
    this.setbacks++
    this.become("Off", now)
  }
  private become(state: State, now: number): void {
    this.state = state
    this.since = this.stepSince = now
    this.step = 0
    this.outSince = undefined
  }
}
