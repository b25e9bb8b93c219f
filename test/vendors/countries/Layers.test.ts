import { isVendorError, Provenance, Telemetry } from "@breakwater/core"
import { UndiciTransport } from "@breakwater/core/transport"
import type { TransportRequest } from "@breakwater/core/transport/Transport"
import { Countries } from "@breakwater/vendors/countries/Countries"
import * as CountryStateCitySimulator from "@breakwater/vendors/countries/country-state-city/Simulator"
import * as CountriesLayers from "@breakwater/vendors/countries/Layers"
import * as RestCountriesSimulator from "@breakwater/vendors/countries/rest-countries/Simulator"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Fiber, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { randomUUID } from "node:crypto"
import * as FakeTransport from "../../fakes/Transport.ts"
import { suite } from "./CountriesSuite.ts"

const keys = { REST_COUNTRIES_API_KEY: `rc_live_${randomUUID()}`, COUNTRY_STATE_CITY_API_KEY: randomUUID() }

suite(
  "all there is",
  Layer.unwrap(Effect.gen(function*() {
    const first = yield* RestCountriesSimulator.serve()
    const second = yield* CountryStateCitySimulator.serve()
    return CountriesLayers.failover().pipe(
      Layer.provide(UndiciTransport.layer({ loopback: true })),
      Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown({
        ...keys,
        REST_COUNTRIES_BASE_URL: first.baseUrl,
        COUNTRY_STATE_CITY_BASE_URL: second.baseUrl
      })))
    )
  }))
)

interface World {
  first: "well" | "down"
  second: "well" | "down"
  /** Paths that no vendor answers. */
  lost: RegExp | undefined
  readonly asked: Array<string>
}

/** A country's name tells its vendor: `first DE`. The first vendor has two pages of one country each. */
const play = (world: World) => ({ origin, path }: TransportRequest): FakeTransport.Play => {
  const who = origin.includes("restcountries") ? "first" : "second"
  world.asked.push(`${who} ${path.split("?")[0]!.split("/").at(-1)}`)
  if (world[who] === "down" || world.lost?.test(path)) return { status: 503 }
  if (path.endsWith("/ZZ") || path.includes("/ZZ?")) {
    return { status: 404, json: who === "first" ? { errors: [{ message: "no" }] } : { error: "no" } }
  }
  const code = /\/([A-Z]{2})(?:\?|$)/.exec(path)?.[1]
  if (who === "second") {
    const country = (iso2: string) => ({ name: `second ${iso2}`, iso2 })
    return { status: 200, json: code === undefined ? [country("FR"), country("DE")] : country(code) }
  }
  const isFirstPage = path.includes("offset=0&")
  const iso2 = code ?? (isFirstPage ? "FR" : "DE")
  return {
    status: 200,
    json: {
      data: {
        objects: [{ names: { common: `first ${iso2}` }, codes: { alpha_2: iso2 } }],
        meta: { more: isFirstPage }
      }
    }
  }
}

const scenario = (
  test: (
    world: World,
    /** Lets as much time pass as the call takes. */
    run: <A, E>(
      call: (countries: Countries["Service"]) => Effect.Effect<Provenance.Sourced<A>, E>
    ) => Effect.Effect<Provenance.Sourced<A>, E>
  ) => Effect.Effect<void, unknown>
) =>
  Effect.suspend(() => {
    const world: World = { first: "well", second: "well", lost: undefined, asked: [] }
    return Effect.gen(function*() {
      const countries = yield* Countries
      yield* test(world, (call) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(call(countries))
          for (let tick = 0; tick < 400 && fiber.pollUnsafe() === undefined; tick++) {
            yield* TestClock.adjust("50 millis")
          }
          return yield* Fiber.join(fiber)
        }))
    }).pipe(
      Effect.provide(
        CountriesLayers.failover().pipe(
          Layer.provide(FakeTransport.layer(play(world))),
          Layer.provideMerge(ConfigProvider.layer(ConfigProvider.fromUnknown(keys)))
        )
      ),
      Effect.provideService(Metric.MetricRegistry, new Map())
    )
  })

const display = { maxAge: "30 days" } as const
const germany = (use?: { readonly maxAge: Duration.Input }) => (countries: Countries["Service"]) =>
  countries.byCode("DE", use)
const list = (use?: { readonly maxAge: Duration.Input }) => (countries: Countries["Service"]) => countries.list(use)

describe("Countries from all sources", () => {
  it.effect("goes down the ladder: fresh, cached, stale, the second vendor, bundled data", () =>
    scenario((world, run) =>
      Effect.gen(function*() {
        const told = Effect.map(run(germany(display)), ({ provenance, value }) => [
          value.name,
          provenance._tag,
          provenance._tag === "Fallback" ? provenance.from : ""
        ])
        assert.deepStrictEqual(yield* told, ["first DE", "Fresh", ""])
        world.first = "down"
        yield* TestClock.adjust("10 hours")
        assert.deepStrictEqual(yield* told, ["first DE", "Cached", ""])
        yield* TestClock.adjust("2 hours")
        assert.deepStrictEqual(yield* told, ["first DE", "Stale", ""])
        yield* TestClock.adjust("29 days")
        assert.deepStrictEqual(yield* told, ["first DE", "Stale", ""])
        yield* TestClock.adjust("1 day")
        assert.deepStrictEqual(yield* told, ["second DE", "Fallback", "country-state-city"])
        world.second = "down"
        yield* TestClock.adjust("31 days")
        assert.deepStrictEqual(yield* told, ["Germany", "Fallback", "world-countries"])
        const counted = (yield* Metric.snapshot).flatMap(({ attributes, id, state }) =>
          id === Telemetry.capabilityAnswers ? [[attributes, (state as { readonly count: number }).count]] : []
        )
        assert.sameDeepMembers(counted, [
          [{ capability: "countries", provenance: "Fresh" }, 1],
          [{ capability: "countries", provenance: "Cached" }, 1],
          [{ capability: "countries", provenance: "Stale" }, 2],
          [{ capability: "countries", provenance: "Fallback" }, 2]
        ])
      })
    ))

  it.effect("gives no stale answer to a call that does not accept it", () =>
    scenario((world, run) =>
      Effect.gen(function*() {
        yield* run(germany())
        world.first = "down"
        yield* TestClock.adjust("13 hours")
        assert.strictEqual((yield* run(germany())).value.name, "second DE")
        assert.strictEqual((yield* run(germany(display))).provenance._tag, "Stale")
      })
    ))

  it.effect("makes a list as old as its oldest page, and stale when one page is stale", () =>
    scenario((world, run) =>
      Effect.gen(function*() {
        const fresh = yield* run(list(display))
        assert.deepStrictEqual(fresh.value.map(({ name }) => name), ["first DE", "first FR"])
        assert.deepStrictEqual(fresh.provenance, Provenance.fresh)
        yield* TestClock.adjust("1 hour")
        const cached = yield* run(list(display))
        assert.strictEqual(cached.provenance._tag, "Cached")
        // Only the first page can be fetched again.
        yield* TestClock.adjust("12 hours")
        world.lost = /offset=1&/
        const mixed = yield* run(list(display))
        assert.deepInclude(mixed.provenance, { _tag: "Stale", because: "Unavailable" })
        assert.closeTo(Duration.toHours(Provenance.age(mixed.provenance)), 13, 0.01)
        // And the other way round.
        yield* TestClock.adjust("1 hour")
        world.lost = undefined
        yield* run(list(display))
        yield* TestClock.adjust("12 hours")
        world.lost = /offset=0&/
        assert.strictEqual((yield* run(list(display))).provenance._tag, "Stale")
      })
    ))

  it.effect("makes a list of two fresh pages as old as the older one, in either order", () =>
    scenario((world, run) =>
      Effect.gen(function*() {
        const hours = Effect.map(run(list(display)), ({ provenance }) => [
          provenance._tag,
          Math.round(Duration.toHours(Provenance.age(provenance)))
        ])
        // The first page is cached, the second is not available.
        world.lost = /offset=1&/
        assert.deepStrictEqual(yield* hours, ["Fallback", 0])
        world.lost = undefined
        yield* TestClock.adjust("4 hours")
        assert.deepStrictEqual(yield* hours, ["Cached", 4])
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* hours, ["Cached", 5])
        // The first one is stale, and is fetched again.
        yield* TestClock.adjust("7 hours")
        assert.deepStrictEqual(yield* hours, ["Cached", 8])
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(yield* hours, ["Cached", 9])
      })
    ))

  it.effect("does not call another vendor for an unknown country, and caches that for a while", () =>
    scenario((world, run) =>
      Effect.gen(function*() {
        for (let call = 0; call < 2; call++) {
          const error = yield* Effect.flip(run((countries) => countries.byCode("ZZ")))
          assert.isFalse(isVendorError(error))
        }
        assert.deepStrictEqual(world.asked, ["first ZZ"])
      })
    ))

  it.effect("lists the world when all vendors are down", () =>
    scenario((world, run) =>
      Effect.gen(function*() {
        world.first = world.second = "down"
        const { provenance, value } = yield* run(list())
        assert.isAtLeast(value.length, 249)
        assert.deepStrictEqual(provenance, { _tag: "Fallback", from: "world-countries", because: "Unavailable" })
      })
    ))
})
