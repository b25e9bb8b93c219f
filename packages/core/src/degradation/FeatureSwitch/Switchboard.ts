/**
 * The state machine of a feature switch. It knows only the time and whether the vendor is out. It holds no timer:
 * transitions that are due happen at the next call.
 */

/**
 * - `On`: for all callers.
 * - `Off`: for no caller.
 * - `Returning`: for a growing share of the callers.
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
  /** The time since when it has been in this state. */
  since: number
  private readonly settings: SwitchSettings
  /** The time since when the vendor has been out without a break; `undefined` while it is not. */
  private outSince: number | undefined = undefined
  private step = 0
  private stepSince = 0
  /** Number of times in a row it went off without being fully on in between. */
  private setbacks = 0

  constructor(settings: SwitchSettings, now: number) {
    this.settings = settings
    this.since = now
  }

  /** The share of callers for whom it is on. */
  get share(): number {
    return this.state === "On" ? 1 : this.state === "Off" ? 0 : this.settings.shares[this.step]!
  }
  /** The earliest time at which it is on again for any caller, if it is off. */
  get returnsAt(): number {
    const { growth, maxOffForMillis, offForMillis } = this.settings
    return this.since + Math.min(maxOffForMillis, offForMillis * growth ** Math.max(0, this.setbacks - 1))
  }
  /** Makes the transition that is due, given whether the vendor is out. */
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
        // A returning feature goes off at once.
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
