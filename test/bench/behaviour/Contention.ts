/**
 * Clients that contend for one row under an optimistic lock: read, write if nobody wrote in between, else wait and begin
 * again. The experiment of Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), with its figures: 5
 * ms doubling to 2 s, a network of 10 ms give or take 2.
 */
import { Conflict, type Retry } from "@breakwater/core"
import * as cockatiel from "cockatiel"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import { colours, draw, type Style } from "../Plot.ts"
import type { Findings } from "../Suite.ts"
import { compared } from "./compared.ts"
import { type Caller, stackCaller } from "./Contender.ts"
import { type Ask, VendorFailure } from "./SimulatedVendor.ts"
import { inVirtualTime, pause } from "./VirtualTime.ts"

const base = 5
const cap = 2_000
/** More retries than any client needs: only the pauses are compared. */
const retries = 10_000

interface Jitter {
  readonly name: string
  readonly settings: string
  readonly make: () => Caller
}

/** A client with our stack that waits by a schedule. */
const ours = (retry: Retry.RetrySchedule | Retry.BackoffOptions): Caller =>
  stackCaller({ retry, retryBudget: false, breaker: false, deadline: "1 hour" }, () => new Conflict(409))

const exponential = (draw: (bound: number) => Effect.Effect<number>): Retry.RetrySchedule =>
  Schedule.exponential(Duration.millis(base)).pipe(
    Schedule.modifyDelay(({ duration }) =>
      Effect.map(draw(Math.min(cap, Duration.toMillis(duration))), (millis) => Duration.millis(millis))
    ),
    Schedule.upTo({ times: retries })
  )

/** `min(cap, random between base and three times the last)`, as in the article. */
const decorrelated = (): Retry.RetrySchedule => {
  let last = base
  return exponential(() => Effect.map(Random.next, (random) => last = Math.min(cap, base + random * (last * 3 - base))))
}

const throughCockatiel = (generator: cockatiel.GeneratorFn<[number, number]> | undefined) => (): Caller => {
  const policy = cockatiel.retry(cockatiel.handleAll, {
    maxAttempts: retries,
    backoff: new cockatiel.ExponentialBackoff({
      initialDelay: base,
      maxDelay: cap,
      ...(generator === undefined ? {} : { generator })
    })
  })
  return (ask) => policy.execute(() => ask())
}

const fullJitter: Jitter = {
  name: "full (Retry.backoff)",
  settings: "ours as it comes: uniform from 0 to the bound",
  make: () => ours({ retries, base, cap, factor: 2 })
}

const noJitter: Jitter = {
  name: "none",
  settings: "a schedule of Effect in our stack",
  make: () => ours(exponential((bound) => Effect.succeed(bound)))
}

const cockatielDefault: Jitter = {
  name: "cockatiel's default",
  settings: "its `ExponentialBackoff` with the same figures: Polly's decorrelated formula",
  make: throughCockatiel(undefined)
}

const jitters: ReadonlyArray<Jitter> = [
  noJitter,
  {
    name: "equal",
    settings: "a schedule of Effect in our stack: half the bound, and uniform up to it",
    make: () => ours(exponential((bound) => Effect.map(Random.next, (random) => bound / 2 + random * bound / 2)))
  },
  {
    name: "decorrelated",
    settings: "a schedule of Effect in our stack, by the article's formula",
    make: () => ours(decorrelated())
  },
  cockatielDefault,
  fullJitter
]

interface Contended {
  readonly clients: number
  readonly calls: number
  readonly seconds: number
}

/** All clients start at once. It is done when each has written once. */
const contended = (jitter: Jitter, clients: number, seed: number): Promise<Contended> =>
  inVirtualTime(async () => {
    let version = 0
    let calls = 0
    // Two uniform numbers make a normal one (Box and Muller).
    const network = () =>
      pause(Math.max(1, 10 + 2 * Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())))
    const write: Ask = async () => {
      calls++
      await network()
      const seen = version
      await network()
      // The answer takes its time on the network too.
      await network()
      if (seen !== version) {
        await network()
        throw new VendorFailure(409)
      }
      version++
      await network()
    }
    const begin = performance.now()
    await Promise.all(Array.from({ length: clients }, () => jitter.make()(write)))
    return { clients, calls, seconds: (performance.now() - begin) / 1_000 }
  }, { seed })

const styles: Readonly<Record<string, Style>> = {
  [fullJitter.name]: { colour: colours.blue, width: 3 },
  none: { colour: colours.grey },
  equal: { colour: colours.orange },
  decorrelated: { colour: colours.green },
  [cockatielDefault.name]: { colour: colours.teal, dash: "6 3" }
}

const most = 100

export const measure = async (quick: boolean): Promise<Findings> => {
  const numbers = quick ? [10, most] : [10, 25, 50, 75, most]
  const seeds = quick ? [1] : [1, 2, 3, 4, 5]
  const curves = new Array<{ readonly jitter: Jitter; readonly found: ReadonlyArray<Contended> }>()
  for (const jitter of jitters.toReversed()) {
    const found = new Array<Contended>()
    for (const clients of numbers) {
      const runs = new Array<Contended>()
      for (const seed of seeds) runs.push(await contended(jitter, clients, seed))
      const mean = (of: (run: Contended) => number) => runs.reduce((sum, run) => sum + of(run), 0) / runs.length
      found.push({ clients, calls: mean(({ calls }) => calls), seconds: mean(({ seconds }) => seconds) })
    }
    curves.push({ jitter, found })
  }
  const last = (name: string) => curves.find(({ jitter }) => jitter.name === name)!.found.at(-1)!
  const mine = last(fullJitter.name)
  const others = jitters.filter((jitter) => jitter !== fullJitter)
  return {
    rows: others.flatMap(({ name }) => [
      compared(
        `${most} clients contend: calls in all, full jitter against ${name}`,
        "calls",
        mine.calls,
        last(name).calls
      ),
      compared(
        `${most} clients contend: until the last is done, full jitter against ${name}`,
        "s",
        mine.seconds,
        last(name).seconds
      )
    ]),
    notes: [
      `**Contention.** Clients start at once to update one row under an optimistic lock, and back off on a conflict. It is the experiment of Brooker's "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), from ${base} ms doubling to ${cap} ms, a message taking 10 ms give or take 2. Means of ${seeds.length} seeds. ${
        jitters.map(({ name, settings }) => `"${name}": ${settings}`).join("; ")
      }. Breaker and budget are off, because only the pauses are compared. With ${most} clients full jitter makes ${
        mine.calls.toFixed(0)
      } calls and is done after ${mine.seconds.toFixed(1)} s; the decorrelated one makes ${
        last("decorrelated").calls.toFixed(0)
      }, and is done after ${last("decorrelated").seconds.toFixed(1)} s.`
    ],
    pictures: [{
      file: "contention",
      caption:
        "Clients that contend for one row, by their jitter: total calls, and the time until the last client is done.",
      svg: draw({
        styles,
        panels: [
          {
            title: "Work",
            x: { label: "clients", from: 0, to: most },
            y: { label: "calls in all", to: 2_000 },
            series: curves.map(({ found, jitter: { name } }) => ({
              name,
              points: found.map(({ calls, clients }) => ({ x: clients, y: calls }))
            }))
          },
          {
            title: "Time until the last is done",
            x: { label: "clients", from: 0, to: most },
            y: { label: "seconds (log)", scale: "log", from: 0.2, to: 100, ticks: [0.3, 1, 3, 10, 30, 100] },
            series: curves.map(({ found, jitter: { name } }) => ({
              name,
              points: found.map(({ clients, seconds }) => ({ x: clients, y: seconds }))
            }))
          }
        ]
      })
    }]
  }
}
