/**
 * One breaker given to two vendors: each shows its own circuits, a change of state is counted and logged once, and
 * nothing of a client stays when it is closed. A key cannot forge a line of the log.
 */
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Breaker from "@breakwater/core/policies/Breaker"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Logger, Metric, Schema, Scope } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "../fakes/Transport.ts"

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("ring", "/ring", { success: Schema.Struct({ name: Schema.String }) })
  )
)

const make = (name: string, breaker: Breaker.Breaker) =>
  Vendor.make({ name, api: Api, baseUrl: `https://${name}.example`, policy: { breaker, retry: false } })

type Client = Effect.Success<ReturnType<typeof make>>

const call = (client: Client, key?: string) =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(Effect.exit(client.ring(undefined, key === undefined ? {} : { key })))
    yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

/** Runs a scenario with its own metrics and log, against vendors that are down. */
const alone = <A, E, R>(
  scenario: (seen: {
    readonly lines: ReadonlyArray<string>
    readonly series: Effect.Effect<Record<string, number>>
  }) => Effect.Effect<A, E, R>
) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const series = Effect.map(Metric.snapshot, (snapshots) =>
      Object.fromEntries(
        snapshots.filter(({ id }) => id.startsWith("breakwater.breaker.")).map((metric) => {
          const { vendor, ...labels } = metric.attributes ?? {}
          const state = metric.state as { readonly count?: number; readonly value?: number }
          return [
            [metric.id.slice("breakwater.breaker.".length), vendor, ...Object.values(labels)].join(" "),
            state.value ?? state.count ?? Number.NaN
          ]
        })
      ))
    return scenario({ lines, series }).pipe(
      Effect.provide([
        FakeTransport.layer(() => ({ status: 503 })),
        Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
      ]),
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.scoped
    )
  })

const trip = { _tag: "Consecutive", failures: 1 } as const

describe("a breaker of two vendors", () => {
  it.effect("shows each vendor its own circuits", () =>
    alone(({ series }) =>
      Effect.gen(function*() {
        const breaker = Breaker.make({ trip: { _tag: "Consecutive", failures: 2 }, openFor: "1 hour" })
        const acme = yield* make("acme", breaker)
        const other = yield* make("other", breaker)
        for (const key of ["a", "b", "c"]) yield* call(acme, key)
        yield* call(acme, "a")
        yield* call(other)
        const all = yield* series
        assert.deepInclude(all, { "circuits acme closed": 2, "circuits acme open": 1 })
        assert.deepInclude(all, { "circuits other closed": 1, "circuits other open": 0 })
      })
    ))

  it.effect("shows each vendor its own circuits also when keys are forgotten, awake or at rest", () =>
    alone(({ series }) =>
      Effect.gen(function*() {
        const breaker = Breaker.make({ maxKeys: 3, idle: "10 minutes" })
        const acme = yield* make("acme", breaker)
        const other = yield* make("other", breaker)
        for (const key of ["a", "b", "c"]) yield* call(acme, key)
        for (const key of ["a", "b"]) yield* call(other, key)
        assert.deepInclude(yield* series, { "circuits acme closed": 1, "circuits other closed": 2 })
        yield* TestClock.adjust("11 minutes")
        for (let i = 0; i < 3; i++) yield* call(other, "c")
        assert.deepInclude(yield* series, { "circuits acme closed": 0, "circuits other closed": 1 })
      })
    ))

  for (const [name, by] of [["", undefined], [", also with keys of its own", () => "everything"]] as const) {
    it.effect(`counts and logs a change of state once, at the vendor whose call it was${name}`, () =>
      alone(({ lines, series }) =>
        Effect.gen(function*() {
          const breaker = Breaker.make({ trip, openFor: "1 hour", by })
          yield* make("acme", breaker)
          const other = yield* make("other", breaker)
          yield* call(other)
          const all = yield* series
          const operation = by === undefined ? "ring" : "(all)"
          assert.strictEqual(all[`transitions other ${operation} Open`], 1)
          assert.strictEqual(all[`transitions acme ${operation} Open`], 0)
          assert.lengthOf(lines, 1)
        })
      ))
  }

  it.effect("keeps no listener of a client that is closed", () =>
    alone(({ lines, series }) =>
      Effect.gen(function*() {
        const breaker = Breaker.make({ trip, openFor: "1 hour" })
        const acme = yield* make("acme", breaker)
        for (let i = 0; i < 3; i++) {
          const scope = yield* Scope.make()
          yield* Scope.provide(make("acme", breaker), scope)
          yield* Scope.close(scope, Exit.void)
        }
        yield* call(acme)
        assert.lengthOf(lines, 1)
        assert.strictEqual((yield* series)["transitions acme ring Open"], 1)
      })
    ))
})

describe("the log line of a circuit", () => {
  it.effect.each<readonly [string, string, string]>([
    ["a line break", "a\nlevel=ERROR forged", "acme/ring/a\\u{a}level=ERROR forged"],
    ["a carriage return", "a\rforged", "acme/ring/a\\u{d}forged"],
    ["a line separator of Unicode", "a\u2028b\u2029c\u0085d", "acme/ring/a\\u{2028}b\\u{2029}c\\u{85}d"],
    ["the codes of a terminal", "a\u001b[2Kb\u009b2Kc", "acme/ring/a\\u{1b}[2Kb\\u{9b}2Kc"],
    ["text in the other direction", "a\u202eb", "acme/ring/a\\u{202e}b"],
    ["letters of any language", "münchen/東京", "acme/ring/münchen/東京"]
  ])(
    "is one line, and shows what its key would do: %s",
    ([, key, shown]) =>
      alone(({ lines }) =>
        Effect.gen(function*() {
          const client = yield* make("acme", Breaker.make({ trip, openFor: "1 hour" }))
          yield* call(client, key)
          assert.deepStrictEqual(lines, [`circuit breaker of ${shown}: Closed → Open`])
        })
      )
  )
})
