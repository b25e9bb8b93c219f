/**
 * A vendor with a capacity, a latency and a failure rate. It serves a number of calls at once and queues the others in
 * order. When the queue is full it rejects calls at once. A caller may give up, but the vendor finishes every accepted
 * call, as real ones do.
 */
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import { after } from "./VirtualTime.ts"

/** The vendor's rejection, or the socket's error when there is no answer. */
export class VendorFailure extends Error {
  readonly status: number
  readonly retryAfterSeconds: number | undefined
  constructor(status: number, retryAfterSeconds?: number) {
    super(status === 0 ? "no answer in time" : `status ${status}`)
    this.name = "VendorFailure"
    this.status = status
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** An error of an attempt as a vendor failure. Any other error is a 503, as a failed service answers. */
export const failureOf = (error: unknown): VendorFailure =>
  error instanceof VendorFailure ? error : new VendorFailure(503)

/** One attempt on the wire: done with its promise, rejected with a `VendorFailure`. */
export type Ask = () => Promise<void>

export interface VendorOptions {
  readonly seed?: number
  /** Calls served at once. @default Infinity */
  readonly servers?: number
  /** Calls that may wait inside. @default Infinity */
  readonly queue?: number
  /** The duration of one call. */
  readonly serviceMillis: (vendor: SimulatedVendor) => number
  /** Whether it fails this one when it has been served. */
  readonly fails?: (vendor: SimulatedVendor) => boolean
}

export class SimulatedVendor {
  readonly random: () => number
  asked = 0
  turnedAway = 0
  /** Being served now. */
  busy = 0
  private readonly waiting: Array<() => void> = []
  private readonly options: VendorOptions

  constructor(options: VendorOptions) {
    this.options = options
    this.random = seededRandom(options.seed ?? 42)
  }

  /** In it now, served or waiting. */
  get inside(): number {
    return this.busy + this.waiting.length
  }

  readonly ask: Ask = () => {
    this.asked++
    const { queue = Infinity, servers = Infinity } = this.options
    return new Promise((resolve, reject) => {
      if (this.busy >= servers && this.waiting.length >= queue) {
        this.turnedAway++
        after(1, () => reject(new VendorFailure(503)))
        return
      }
      const serve = () => {
        this.busy++
        after(this.options.serviceMillis(this), () => {
          this.busy--
          if (this.options.fails?.(this) === true) reject(new VendorFailure(503))
          else resolve()
          this.waiting.shift()?.()
        })
      }
      if (this.busy < servers) serve()
      else this.waiting.push(serve)
    })
  }
}

/** The transport's timeout, for contenders without one. It tells the caller, not the vendor. */
export const within = (millis: number, ask: Ask): Ask => () =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new VendorFailure(0)), millis)
    ask().finally(() => clearTimeout(timer)).then(resolve, reject)
  })

/** Independent calls at a rate per second for a given time; done when all have ended. */
export const arrivals = async (
  options: { readonly perSecond: (sinceMillis: number) => number; readonly millis: number; readonly seed?: number },
  call: (sinceMillis: number) => Promise<void>
): Promise<void> => {
  const random = seededRandom(options.seed ?? 99)
  const begin = performance.now()
  const calls = new Array<Promise<void>>()
  let due = 0
  await new Promise<void>((resolve) => {
    const next = () => {
      due -= Math.log(1 - random()) * 1_000 / options.perSecond(due)
      if (due >= options.millis) resolve()
      else after(due - (performance.now() - begin), arrive)
    }
    const arrive = () => {
      calls.push(call(due))
      next()
    }
    next()
  })
  await Promise.all(calls)
}
