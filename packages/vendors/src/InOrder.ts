/**
 * The vendors of one capability, asked in order of preference: `Failover` decides who is asked, and here its answer gets
 * the provenance it deserves, is counted, and is written into the span. Each vendor answers from its own cache first: what
 * the first one remembers goes before what the second one says, as far as the use accepts its age.
 *
 * @example
 * ```ts
 * import { Provenance, Unavailable, VendorError } from "@breakwater/core"
 * import { InOrder } from "@breakwater/vendors"
 * import { Effect } from "effect"
 *
 * const reason = new Unavailable(503)
 * const ask = await Effect.runPromise(InOrder.make("greetings"))
 * const { provenance, value } = await Effect.runPromise(ask<{ value: string; provenance: Provenance.Provenance }, VendorError>({
 *   north: Effect.fail(new VendorError({ vendor: "north", operation: "greet", safety: "Idempotent", reason })),
 *   south: Effect.succeed({ value: "hello", provenance: Provenance.fresh })
 * }))
 * console.log(value, provenance._tag) // => hello Fallback
 * ```
 */
import { Failover, Provenance, Telemetry } from "@breakwater/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { tellingOn } from "./Use.ts"

/** Asks vendors in the order in which they are given, and fails as the last one asked did. */
export type Ask = <A extends { readonly provenance: Provenance.Provenance }, E>(
  vendors: Readonly<Record<string, Effect.Effect<A, E>>>
) => Effect.Effect<A, E>

/**
 * Makes the order of a capability. Throws when an option of the failover is out of its range. Where it is run, its answers
 * are among the metrics, at 0.
 */
export const make = (capability: string, options?: Failover.FailoverOptions): Effect.Effect<Ask> => {
  const failover = Failover.make(options)
  const ask: Ask = (vendors) =>
    failover.call(vendors).pipe(
      Provenance.withProvenance,
      Effect.map(({ provenance, value }) =>
        provenance._tag === "Fallback" ? { ...value, provenance: aged(provenance, value.provenance) } : value
      ),
      Effect.tap(({ provenance }) => seen(capability, provenance)),
      tellingOn
    )
  return Effect.map(Effect.context<never>(), (context) => {
    Telemetry.begin(context, Telemetry.capabilityAnswers, { capability })
    return ask
  })
}

/** A fallback from the other vendor's cache is as old as it was there. */
const aged = (fallback: Provenance.Fallback, own: Provenance.Provenance): Provenance.Fallback =>
  own._tag === "Fresh" ? fallback : { ...fallback, age: Provenance.age(own) }

const seen = (capability: string, provenance: Provenance.Provenance): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    Telemetry.counter(fiber.context, Telemetry.capabilityAnswers, { capability, provenance: provenance._tag }).count++
    return Effect.annotateCurrentSpan({
      "breakwater.provenance": provenance._tag,
      "breakwater.age": Duration.toSeconds(Provenance.age(provenance)),
      ...(provenance._tag === "Stale" || provenance._tag === "Fallback"
        ? { "breakwater.because": provenance.because }
        : {}),
      ...(provenance._tag === "Fallback" ? { "breakwater.from": provenance.from } : {})
    })
  })
