/** Duplicate charges after ambiguous timeouts and after crashes at any moment. */
import { Conflict, isVendorError, Policy, Vendor } from "@breakwater/core"
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import { Transport } from "@breakwater/core/transport"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type { Findings } from "../Suite.ts"
import { Bank, BankApi } from "./Bank.ts"
import { compared } from "./compared.ts"
import { attemptMillis, cockatielReadme, type Contender, naive, pRetryDefault } from "./Contender.ts"
import { within } from "./SimulatedVendor.ts"
import { inVirtualTime, pause } from "./VirtualTime.ts"

/** Repeats as much as it may: no breaker, no budget. */
const eager: Policy.Policy = { ...Policy.write, breaker: false, retryBudget: false }

/** The client of one process. Its memory dies with the process. */
const clientOf = (bank: Bank, hedge: Policy.Policy["hedge"] = false) =>
  Vendor.make({
    name: "bank",
    api: BankApi,
    baseUrl: "https://bank.example",
    idempotencyHeader: "Idempotency-Key",
    policy: { ...eager, hedge },
    // A key in use, as Stripe reports it.
    classify: ({ status }) => status === 409 ? new Conflict(status, { isRetryable: true }) : undefined
  }).pipe(
    Effect.provideService(Transport.Transport, bank.transport),
    // Clients of one process would share their gates.
    Effect.provideService(Metric.MetricRegistry, new Map())
  )

/** Longer than any request is on its way. */
const settledMillis = 120_000
/** Orders that one process has at once. */
const ordersOfOne = 100
/** Number of kills of a process. */
const kills = 3

interface Charged {
  readonly charged: number
  readonly duplicates: number
  readonly mishaps: number
  /** Number of kills during a charge. */
  readonly cut: number
}

/**
 * Processes that charge orders under a key, each killed at three seeded moments and started again, and which come back to
 * an order until they have heard of its charge and recorded it.
 */
export const throughCrashes = (
  orders: number,
  hedge: Policy.Policy["hedge"],
  keyOf: (order: string, life: number) => string
): Promise<Charged> =>
  inVirtualTime(async () => {
    const bank = new Bank(6)
    const random = seededRandom(7)
    let cut = 0

    const live = async (unpaid: Set<string>, life: number, forMillis: number | undefined) => {
      const charging = new Set<string>()
      const work = Effect.gen(function*() {
        const { charge } = yield* clientOf(bank, hedge)
        const pay = (order: string): Effect.Effect<void> =>
          Effect.sync(() => charging.add(order)).pipe(
            Effect.andThen(charge({ payload: { order } }, { idempotencyKey: keyOf(order, life) })),
            // A crash between the answer and the moment it is written down is a crash as any other.
            Effect.andThen(Effect.sleep("5 millis")),
            Effect.andThen(Effect.sync(() => unpaid.delete(order))),
            Effect.onExit(() => Effect.sync(() => charging.delete(order))),
            Effect.catch(() => Effect.andThen(Effect.sleep("10 seconds"), pay(order)))
          )
        yield* Effect.forEach(
          [...unpaid],
          (order) => Effect.andThen(Effect.sleep(random() * 10_000), pay(order)),
          { concurrency: "unbounded", discard: true }
        )
      })
      const fiber = Effect.runFork(Effect.scoped(work))
      if (forMillis === undefined) return Effect.runPromise(Fiber.join(fiber))
      await pause(forMillis)
      cut += charging.size
      await Effect.runPromise(Fiber.interrupt(fiber))
    }

    const run = async (mine: ReadonlyArray<string>) => {
      const unpaid = new Set(mine)
      for (let life = 0; life < kills; life++) await live(unpaid, life, random() * 12_000)
      await live(unpaid, kills, undefined)
    }

    const all = ordersOf(orders)
    const runs = new Array<Promise<void>>()
    for (let first = 0; first < orders; first += ordersOfOne) runs.push(run(all.slice(first, first + ordersOfOne)))
    await Promise.all(runs)
    await pause(settledMillis)
    return { charged: bank.charges.size, duplicates: bank.duplicates, mishaps: bank.mishaps, cut }
  })

interface Told {
  readonly duplicates: number
  readonly succeeded: number
  /** Calls that reported that the order may have been charged. */
  readonly unknown: number
  /** Calls whose end contradicts what the bank did. */
  readonly wrong: number
}

/** Orders charged without a key, one call each, a second apart. */
export const withoutKey = (orders: number): Promise<Told> =>
  inVirtualTime(async () => {
    const bank = new Bank(6)
    const ends = await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { chargeUnkeyed } = yield* clientOf(bank)
      return yield* Effect.forEach(
        ordersOf(orders),
        (order, index) =>
          chargeUnkeyed({ payload: { order } }).pipe(
            Effect.delay(index * 1_000),
            Effect.as("Charged" as const),
            Effect.catch((error) =>
              Effect.succeed(
                !isVendorError(error) || error.mayHaveHappened ? "Unknown" as const : "NotCharged" as const
              )
            ),
            Effect.map((end) => ({ order, end }))
          ),
        { concurrency: "unbounded" }
      )
    })))
    await pause(settledMillis)
    return {
      duplicates: bank.duplicates,
      succeeded: ends.filter(({ end }) => end === "Charged").length,
      unknown: ends.filter(({ end }) => end === "Unknown").length,
      wrong: ends.filter(({ end, order }) =>
        end !== "Unknown" && bank.charges.has(order) !== (end === "Charged")
      ).length
    }
  })

/** The same by a peer that wraps a promise. */
const wrapped = (contender: Contender, orders: number): Promise<Pick<Told, "duplicates" | "succeeded">> =>
  inVirtualTime(async () => {
    const bank = new Bank(6)
    let succeeded = 0
    const call = contender.make()
    await Promise.all(
      ordersOf(orders).map(async (order, index) => {
        await pause(index * 1_000)
        await call(within(attemptMillis, bank.asking(order))).then(() => succeeded++, () => undefined)
      })
    )
    await pause(settledMillis)
    return { duplicates: bank.duplicates, succeeded }
  })

const ordersOf = (count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, index) => `order-${index}`)

export const measure = async (quick: boolean): Promise<Findings> => {
  const orders = quick ? 1_000 : 10_000
  const keyed = await throughCrashes(orders, false, (order) => order)
  const hedged = await throughCrashes(orders, { after: "1 second", keyed: true }, (order) => order)
  const anew = await throughCrashes(orders, false, (order, life) => `${order}-${life}`)
  const unkeyed = await withoutKey(orders)
  const peers = []
  for (const contender of [naive, pRetryDefault, cockatielReadme]) {
    peers.push({ name: contender.name, told: await wrapped(contender, orders) })
  }
  return {
    rows: [
      compared(`duplicate effects through crashes, of ${orders} with a key`, "orders", keyed.duplicates, 1, 0),
      compared(`duplicate effects through crashes, of ${orders} with a key, hedged`, "orders", hedged.duplicates, 1, 0),
      compared(`duplicate effects, of ${orders} without a key`, "orders", unkeyed.duplicates, 1, 0)
    ],
    notes: [
      `**Duplicates.** A bank charges orders. Six requests in ten meet a mishap: no connection, a connection that breaks before or after the charge, a lost response (an ambiguous timeout), a request that arrives 10 to 60 s later, or a 503. A process charges a hundred orders at a time, without a breaker or a budget. It is killed at three seeded moments and started again, and repeats an order until it has recorded the charge. With the order's own name as the key, ${keyed.charged} of ${orders} orders were charged, ${keyed.duplicates} of them more than once, through ${keyed.mishaps} mishaps and ${keyed.cut} kills in the middle of a charge; hedged, ${hedged.duplicates}. The caller's key makes the difference: with a new key after each restart, ${anew.duplicates} are charged more than once.`,
      `If the bank takes no key, ours repeats only requests that were never sent. Of ${orders} calls ${unkeyed.succeeded} succeeded, ${unkeyed.duplicates} were charged more than once, ${unkeyed.unknown} reported that the charge may have happened, and ${unkeyed.wrong} reported a wrong outcome. A wrapper around a promise cannot know which requests were sent: ${
        peers.map(({ name, told }) =>
          `${name} charged ${told.duplicates} more than once (${told.succeeded} calls succeeded)`
        )
          .join(", ")
      }.`
    ]
  }
}
