/**
 * A vendor that charges orders, and the network in front of it, which loses and delays requests and responses. The bank
 * executes every request that arrives, even when its caller has gone. A key it has seen has no second effect: the bank
 * repeats its response, or reports that the key is in use.
 */
import { ConnectFailed, ConnectionLost, Operation } from "@breakwater/core"
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import type { Transport } from "@breakwater/core/transport"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import * as Schema from "effect/Schema"
import { type Ask, VendorFailure } from "./SimulatedVendor.ts"
import { after } from "./VirtualTime.ts"

const Order = Schema.Struct({ order: Schema.String })

export const BankApi = HttpApi.make("bank").add(
  HttpApiGroup.make("bank", { topLevel: true }).add(
    HttpApiEndpoint.post("charge", "/charges", { payload: Order, success: Order })
      .annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.post("chargeUnkeyed", "/unkeyed-charges", { payload: Order, success: Order })
      .annotate(Operation.Safety, "Unsafe")
  )
)

/** Mishaps of a request and its response, with equal probability. */
const mishaps = [
  "none",
  "none",
  "none",
  "none",
  // No connection.
  "refused",
  // The connection breaks before the bank has read the request.
  "lost",
  // It breaks after the bank has charged.
  "reset",
  // The bank charges, and its response is lost.
  "silent",
  // The request arrives after its caller has given up.
  "late",
  // A proxy rejects it.
  "turned away"
] as const

/** The outcome of a request as its sender sees it. */
interface Listener {
  onSent(): void
  onAnswer(status: number): void
  onLost(failure: "Refused" | "Reset"): void
}

export class Bank {
  /** Number of charges of an order. */
  readonly charges = new Map<string, number>()
  /** Requests that met a mishap. */
  mishaps = 0
  private readonly keys = new Map<string, "InProgress" | "Done">()
  private readonly random: () => number

  constructor(seed: number) {
    this.random = seededRandom(seed)
  }

  /** Orders that were charged more than once. */
  get duplicates(): number {
    let count = 0
    for (const times of this.charges.values()) if (times > 1) count++
    return count
  }

  /** Sends a request to charge an order. The returned function makes the sender stop listening; the bank is not told. */
  send(order: string, key: string | undefined, listener: Listener): () => void {
    let hears = true
    const later = (millis: number, act: () => void) =>
      after(millis, () => {
        if (hears) act()
      })
    const mishap = mishaps[Math.floor(this.random() * mishaps.length)]!
    const wayMillis = mishap === "late" ? this.between(10_000, 60_000) : this.between(1, 20)
    if (mishap !== "none") this.mishaps++
    if (mishap === "refused") later(wayMillis, () => listener.onLost("Refused"))
    else {
      later(0, () => listener.onSent())
      if (mishap === "lost") later(wayMillis, () => listener.onLost("Reset"))
      else if (mishap === "turned away") later(wayMillis, () => listener.onAnswer(503))
      else {
        after(wayMillis, () =>
          this.charge(order, key, (status) => {
            if (mishap === "reset") later(wayMillis, () => listener.onLost("Reset"))
            else if (mishap !== "silent") later(wayMillis, () => listener.onAnswer(status))
          }))
      }
    }
    return () => {
      hears = false
    }
  }

  /** The same without a key, for clients that see a failure without its reason. */
  readonly asking = (order: string): Ask => () =>
    new Promise((resolve, reject) => {
      this.send(order, undefined, {
        onSent() {},
        onAnswer: (status) => status === 200 ? resolve() : reject(new VendorFailure(status)),
        onLost: () => reject(new VendorFailure(503))
      })
    })

  private charge(order: string, key: string | undefined, answer: (status: number) => void): void {
    const seen = key === undefined ? undefined : this.keys.get(key)
    if (seen !== undefined) return answer(seen === "Done" ? 200 : 409)
    if (key !== undefined) this.keys.set(key, "InProgress")
    after(this.between(20, 2_000), () => {
      this.charges.set(order, (this.charges.get(order) ?? 0) + 1)
      if (key !== undefined) this.keys.set(key, "Done")
      answer(200)
    })
  }

  private between(low: number, high: number): number {
    return low + this.random() * (high - low)
  }

  /** The transport to the bank for a client of the contract. */
  readonly transport: Transport.Transport["Service"] = {
    send: ({ body, headers }, receiver) => {
      const place = headers.indexOf("Idempotency-Key")
      const { order } = JSON.parse(String(body)) as { readonly order: string }
      return this.send(order, place < 0 ? undefined : headers[place + 1], {
        onSent: () => receiver.onSent(),
        onAnswer(status) {
          receiver.onHeaders(status, { "content-type": "application/json" })
          receiver.onEnd(Buffer.from(JSON.stringify({ order })))
        },
        onLost: (failure) =>
          receiver.onError(failure === "Refused" ? new ConnectFailed("Refused") : new ConnectionLost("Headers"))
      })
    }
  }
}
