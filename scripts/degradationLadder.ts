/**
 * Draws `docs/guides/degradation.svg` from a real run: a client requests a rate from the demo server nearly twenty times a
 * second while its vendors go down and come back. `npm run ladder` takes half a minute, and draws nothing after an
 * unexpected run.
 */
import { Data, Effect } from "effect"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as DemoServer from "../test/processes/DemoServer.ts"
import { request } from "../test/processes/DemoServer.ts"

class OtherwiseThanDrawn extends Data.TaggedError("OtherwiseThanDrawn")<{ readonly message: string }> {}

interface Answer {
  /** Seconds since the run began. */
  readonly at: number
  readonly rung: Rung
  readonly seconds: number
}

const rungs = ["Fresh", "Cached", "Stale", "Fallback", "503"] as const
type Rung = typeof rungs[number]

const frankfurter = "frankfurter"
const openExchangeRates = "open-exchange-rates"
const fresh = 3
const stale = 6
const runs = 27
const events = [
  { at: 4, vendor: frankfurter, fault: { kind: "refuse" }, says: "Frankfurter dies" },
  { at: 11, vendor: openExchangeRates, fault: { kind: "refuse" }, says: "Open Exchange Rates dies" },
  { at: 20, vendor: frankfurter, fault: undefined, says: "Frankfurter is back" }
]

const run = Effect.gen(function*() {
  const server = yield* DemoServer.start({ RATES_FRESH: `${fresh} seconds`, RATES_STALE: `${stale} seconds` })
  const answers: Array<Answer> = []
  const begin = performance.now()
  const elapsed = () => (performance.now() - begin) / 1_000
  yield* Effect.forkChild(Effect.forEach(events, ({ at, fault, vendor }) =>
    Effect.andThen(
      Effect.suspend(() => Effect.sleep(Math.max(0, at - elapsed()) * 1_000)),
      request(fault === undefined ? "DELETE" : "PUT", `${server.control}/_faults/${vendor}`, { body: fault })
    )))
  while (elapsed() < runs) {
    const at = elapsed()
    const { json, status } = yield* request("GET", `${server.url}/rates/EUR/USD`)
    const { provenance } = json as { readonly provenance?: { readonly kind: Rung } }
    answers.push({ at, rung: status === 200 ? provenance!.kind : "503", seconds: elapsed() - at })
    yield* Effect.sleep("50 millis")
  }
  return answers
})

/** Consecutive answers of one rung. */
interface Stay {
  readonly rung: Rung
  readonly from: number
  readonly to: number
  readonly answers: number
}

const staysOf = (answers: ReadonlyArray<Answer>): ReadonlyArray<Stay> =>
  answers.reduce<ReadonlyArray<Stay>>((stays, { at, rung }) => {
    const last = stays.at(-1)
    return last?.rung === rung
      ? [...stays.slice(0, -1), { ...last, to: at, answers: last.answers + 1 }]
      : [...stays, { rung, from: at, to: at, answers: 1 }]
  }, [])

/** The expected rungs, down and up again. Fresh answers come now and then while the first vendor is up. */
const way: ReadonlyArray<Rung> = ["Fresh", "Cached", "Stale", "Fallback", "503", "Fresh", "Cached"]

/** Fails when the rungs were different. */
const checked = (stays: ReadonlyArray<Stay>): Effect.Effect<void, OtherwiseThanDrawn> => {
  const back = stays.findIndex(({ rung }) => rung === "503")
  const isFirst = ({ rung }: Stay, index: number) =>
    stays.findIndex((other, at) => other.rung === rung && (at > back) === (index > back)) === index
  const seen = stays.filter(isFirst).map(({ rung }) => rung)
  return seen.join() === way.join()
    ? Effect.void
    : Effect.fail(
      new OtherwiseThanDrawn({ message: `expected the rungs ${way.join(", ")}, but got ${seen.join(", ")}` })
    )
}

const colors: Readonly<Record<Rung, string>> = {
  Fresh: "#1a7f37",
  Cached: "#3fa34d",
  Stale: "#bf8700",
  Fallback: "#0969da",
  503: "#cf222e"
}
const [width, height, left, right, top, bottom] = [860, 330, 92, 20, 64, 46]
const x = (seconds: number) => left + (width - left - right) * seconds / runs
const y = (rung: Rung) => top + 16 + (height - top - bottom - 32) * rungs.indexOf(rung) / (rungs.length - 1)

const draw = (answers: ReadonlyArray<Answer>): string => {
  const slowest = Math.max(...answers.map(({ seconds }) => seconds)) * 1_000
  const text = (x: number, y: number, words: string, more = "") => `<text x="${x}" y="${y}" ${more}>${words}</text>`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="13" fill="#1f2328">`,
    `<title>What GET /rates/EUR/USD answered while its vendors died</title>`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...rungs.map((rung) =>
      `<line x1="${left}" x2="${width - right}" y1="${y(rung)}" y2="${y(rung)}" stroke="#d1d9e0"/>` +
      text(left - 12, y(rung) + 4, rung, `text-anchor="end" fill="${colors[rung]}" font-weight="600"`)
    ),
    ...events.map(({ at, says }, index) =>
      `<line x1="${x(at)}" x2="${x(at)}" y1="${top - 20}" y2="${
        height - bottom
      }" stroke="#59636e" stroke-dasharray="4 4"/>` +
      text(x(at) + 5, top - 10 - 16 * (index % 2), says)
    ),
    // A dot for each answer.
    ...rungs.map((rung) =>
      `<path stroke="${colors[rung]}" stroke-width="6" stroke-linecap="round" d="${
        answers.filter((answer) => answer.rung === rung).map(({ at }) => `M${x(at).toFixed(0)} ${y(rung)}h0`).join("")
      }"/>`
    ),
    ...[0, 5, 10, 15, 20, 25].map((second) =>
      text(x(second), height - bottom + 18, String(second), `text-anchor="middle" fill="#59636e"`)
    ),
    text((left + width - right) / 2, height - 8, "seconds", `text-anchor="middle" fill="#59636e"`),
    text(
      left,
      18,
      `${answers.length} answers, ${fresh} s within their time, shown up to ${stale} s old; the slowest took ${
        slowest.toFixed(0)
      } ms`,
      `fill="#59636e"`
    ),
    `</svg>\n`
  ].join("\n")
}

const program = Effect.gen(function*() {
  const answers = yield* run
  const stays = staysOf(answers)
  for (const { answers, from, rung, to } of stays) {
    console.log(`${from.toFixed(1)} s to ${to.toFixed(1)} s: ${answers} ${rung}`)
  }
  yield* checked(stays)
  writeFileSync(fileURLToPath(new URL("../docs/guides/degradation.svg", import.meta.url)), draw(answers))
})

await Effect.runPromise(Effect.scoped(program))
