/** Books of a simulated account: its intents, charges and refunds. */
import { Simulator } from "@breakwater/core/simulator"
import type { Charge, PaymentIntent, Refund } from "../Api.ts"

export class Books {
  readonly intents = new Shelf<PaymentIntent>()
  readonly charges = new Shelf<Charge>()
  readonly refunds = new Shelf<Refund>()
  private readonly random: () => number

  constructor(seed: number) {
    this.random = Simulator.seededRandom(seed)
  }

  /** An id in Stripe's form: a prefix and 24 letters and digits. */
  id(prefix: string): string {
    return `${prefix}_${
      Array.from({ length: 24 }, () => alphabet[Math.floor(this.random() * alphabet.length)]).join("")
    }`
  }
}

/** Objects of one kind, by id. */
export class Shelf<Item extends { readonly id: string }> {
  private readonly items = new Map<string, Item>()

  get(id: string): Item | undefined {
    return this.items.get(id)
  }
  /** Adds an object, or replaces the one with its id. */
  put(item: Item): Item {
    this.items.set(item.id, item)
    return item
  }
  /** Newest first. */
  get all(): ReadonlyArray<Item> {
    return Array.from(this.items.values()).toReversed()
  }
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
