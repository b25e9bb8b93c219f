/**
 * A process that calls every operation of every contract with arbitrary input, and gets arbitrary answers: valid ones, and
 * the same damaged in one place. It prints how often it compiled code, and the results.
 */
import { isVendorError, Vendor } from "@breakwater/core"
import { seededRandom } from "@breakwater/core/simulator/Simulator/Fault"
import { Transport } from "@breakwater/core/transport"
import { CountryStateCityApi } from "@breakwater/vendors/countries/country-state-city/Api"
import { RestCountriesApi } from "@breakwater/vendors/countries/rest-countries/Api"
import { FrankfurterApi } from "@breakwater/vendors/exchange-rates/frankfurter/Api"
import { OpenExchangeRatesApi } from "@breakwater/vendors/exchange-rates/open-exchange-rates/Api"
import { StripeApi } from "@breakwater/vendors/payments/stripe/Api"
import { Arbitrary, type Cause, Effect, Exit, Schema } from "effect"
import { HttpApi, HttpApiSchema } from "effect/http-api"
import { inspect } from "node:util"
import { AcmeApi } from "../fakes/Acme.ts"

/** Answers of each schema. */
const count = 40

let compiled = 0
globalThis.Function = new Proxy(globalThis.Function, {
  apply(target, self, parts: Array<string>) {
    const made: unknown = Reflect.apply(target, self, parts)
    compiled++
    return made
  }
})

/** The same in every process. */
const random = seededRandom(20_261_123)
const below = (limit: number): number => Math.floor(random() * limit)
const oneOf = <A>(values: ReadonlyArray<A>): A => values[below(values.length)]!

const strangers = [null, true, 7, -0.5, "", "x", [], {}, [1], { a: 1 }]

/** A copy with one part replaced, taken away, or added. */
const spoilt = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || below(3) === 0) return oneOf(strangers)
  const copy = structuredClone(value) as Record<string, unknown>
  const keys = Object.keys(copy)
  const key = keys.length === 0 || below(8) === 0 ? "stranger" : oneOf(keys)
  if (below(4) === 0) delete copy[key]
  else copy[key] = spoilt(copy[key])
  return copy
}

/** Values that random generation does not find. */
const written: Readonly<Record<string, unknown>> = {
  "frankfurter rate 200": { date: "2026-11-20", base: "EUR", quote: "USD", rate: 1.0842 }
}

const samples = (schema: Schema.Top, seed: string): Effect.Effect<ReadonlyArray<unknown>> =>
  written[seed] === undefined
    ? Effect.orDie(
      Arbitrary.sampleEffect(Arbitrary.schema(schema as Schema.Top & Schema.Codec<unknown>), { count, seed })
    )
    : Effect.succeed(Array.from({ length: count }, () => written[seed]))

interface Answer {
  readonly status: number
  readonly body: string
}

type Call = (input: unknown, options: { readonly idempotencyKey: string }) => Effect.Effect<unknown, unknown>

const shown = (reason: Cause.Reason<unknown>): unknown =>
  reason._tag === "Fail" && isVendorError(reason.error) ? Object.entries(reason.error.reason) : reason

const inspected = { depth: 20, maxArrayLength: null, maxStringLength: null }

const guardedByNothing = { retry: false, rateLimit: false, breaker: false, bulkhead: false, cache: false } as const

const outcomesOf = (api: HttpApi.Top): Effect.Effect<ReadonlyArray<string>, unknown> =>
  Effect.gen(function*() {
    const cases: Array<Effect.Effect<string>> = []
    const ids: Array<string> = []
    let answer: Answer
    let sent: unknown
    const transport = Transport.Transport.of({
      send({ body, headers, method, path }, receiver) {
        sent = { method, path, headers, body }
        queueMicrotask(() => {
          receiver.onHeaders(answer.status, { etag: "\"v1\"", "x-total": "12" })
          receiver.onEnd(Buffer.from(answer.body))
        })
        return () => {}
      }
    })
    HttpApi.reflect(api, {
      onGroup() {},
      onEndpoint({ endpoint, errors, group, successes }) {
        const id = group.topLevel ? endpoint.identifier : `${group.identifier}.${endpoint.identifier}`
        ids.push(id)
        cases.push(Effect.gen(function*() {
          const parts: Array<readonly [string, ReadonlyArray<unknown>]> = []
          for (
            const [name, schema] of [
              ["params", endpoint.params],
              ["query", endpoint.query],
              ["headers", endpoint.headers],
              ["payload", Array.from(endpoint.payload.values(), ({ schemas }) => schemas).flat()[0]]
            ] as const
          ) {
            if (schema !== undefined) parts.push([name, yield* samples(schema, `${api.identifier} ${id} ${name}`)])
          }
          const answers: Array<Answer> = []
          for (const [status, schemas] of [...successes, ...errors]) {
            for (const schema of schemas) {
              const body = HttpApiSchema.isWithHeaders(schema) ? schema.schema : schema
              const encode = Schema.encodeUnknownEffect(body as Schema.Top & Schema.Codec<unknown>)
              for (const value of yield* samples(body, `${api.identifier} ${id} ${status}`)) {
                const encoded: unknown = (yield* Effect.orDie(encode(value))) ?? null
                answers.push({ status, body: JSON.stringify(encoded) })
                answers.push({ status, body: JSON.stringify(spoilt(encoded)) })
              }
            }
          }
          const lines: Array<string> = []
          for (const next of answers) {
            answer = next
            sent = undefined
            const input = Object.fromEntries(parts.map(([name, values]) => [name, oneOf(values)]))
            const exit = yield* Effect.exit(call(id)(below(4) === 0 ? spoilt(input) : input, { idempotencyKey: "k" }))
            lines.push(
              inspect({ sent, told: Exit.isSuccess(exit) ? exit.value : exit.cause.reasons.map(shown) }, inspected)
            )
          }
          return lines.join("\n")
        }))
      }
    })
    const client = (yield* Vendor.make(
      {
        name: "acme",
        api: api as unknown as typeof AcmeApi,
        baseUrl: "https://api.acme.example",
        idempotencyHeader: "Idempotency-Key",
        policy: guardedByNothing
      },
      Object.fromEntries(ids.map((id) => [id, guardedByNothing]))
    ).pipe(Effect.provideService(Transport.Transport, transport))) as unknown as Record<
      string,
      Call & Record<string, Call>
    >
    const call = (id: string): Call => {
      const [group = "", name] = id.split(".")
      return name === undefined ? client[group]! : client[group]![name]!
    }
    return yield* Effect.all(cases)
  }).pipe(Effect.scoped)

const outcomes = await Effect.runPromise(Effect.forEach(
  [AcmeApi, CountryStateCityApi, RestCountriesApi, FrankfurterApi, OpenExchangeRatesApi, StripeApi],
  (api) => outcomesOf(api as unknown as HttpApi.Top)
))
process.stdout.write(JSON.stringify({ compiled, outcomes }))
