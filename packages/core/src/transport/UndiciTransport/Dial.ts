/**
 * Connects to one of several addresses: attempts run beside each other, and the first connection wins (RFC 8305). Node's
 * own `autoSelectFamily` gives up an attempt when it starts the next one, so it never reaches a slow address in front of
 * a dead one.
 */
import { connect, isIPv6, type Socket } from "node:net"
import * as Timeline from "../../Timeline.ts"

/** A step towards a connection. Once it is destroyed it reports nothing more. */
export interface Step {
  destroy(): void
}

/** The time between the starts of two attempts, in milliseconds: the "Connection Attempt Delay" of RFC 8305, section 5. */
const attemptDelayMillis = 250

/** Connects to the first address that answers; at least one is needed. Fails with the first error when all have failed. */
export const dial = (
  addresses: ReadonlyArray<string>,
  port: number,
  told: (outcome: Socket | Error) => void
): Step => new Race(addresses, port, told)

class Race implements Step {
  private readonly waiting: Array<string>
  private readonly port: number
  private readonly told: (outcome: Socket | Error) => void
  private readonly running = new Set<Socket>()
  private firstError: Error | undefined = undefined
  private timer: Timeline.Timer | undefined = undefined

  constructor(addresses: ReadonlyArray<string>, port: number, told: (outcome: Socket | Error) => void) {
    this.waiting = alternating(addresses)
    this.port = port
    this.told = told
    this.startNext()
  }

  destroy(): void {
    this.timer?.cancel()
    this.waiting.length = 0
    for (const socket of this.running) socket.destroy()
    this.running.clear()
  }

  private startNext(): void {
    this.timer?.cancel()
    const address = this.waiting.shift()
    if (address === undefined) return
    const socket = connect({
      host: address,
      port: this.port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: keepAliveDelayMillis
    })
    this.running.add(socket)
    const failed = (error: Error) => {
      if (!this.running.delete(socket)) return
      this.firstError ??= error
      if (this.waiting.length > 0) this.startNext()
      else if (this.running.size === 0) this.told(this.firstError)
    }
    socket.once("error", failed).once("connect", () => {
      if (!this.running.delete(socket)) return
      socket.off("error", failed)
      this.destroy()
      this.told(socket)
    })
    if (this.waiting.length > 0) {
      this.timer = Timeline.live.after(attemptDelayMillis, () => {
        // A connection that was made while the event loop was blocked is heard first.
        this.timer = Timeline.live.afterInput({ timeIsUp: () => this.startNext() })
      })
    }
  }
}

/** How long a connection is silent before the kernel probes it, in milliseconds (as undici). */
const keepAliveDelayMillis = 60_000

/** One address of each family in turn, beginning with the family of the first address (RFC 8305, section 4). */
const alternating = (addresses: ReadonlyArray<string>): Array<string> => {
  const families = [addresses.filter(isIPv6), addresses.filter((address) => !isIPv6(address))]
  if (!isIPv6(addresses[0]!)) families.reverse()
  const [first, second] = families as [Array<string>, Array<string>]
  return Array.from({ length: Math.max(first.length, second.length) }).flatMap((_, index) => [
    ...first.slice(index, index + 1),
    ...second.slice(index, index + 1)
  ])
}
