/**
 * The vendors of one capability, called in order of preference. `Failover` chooses the vendor. This module adds the
 * provenance to the answer, counts it, and writes it into the span. Each vendor answers from its own cache first: a cached
 * answer of the first vendor overrides a new one of the second, as long as the caller accepts its age.
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

/** Calls the vendors in the given order, and fails with the error of the last one called. */
export type Ask = <A extends { readonly provenance: Provenance.Provenance }, E>(
  vendors: Readonly<Record<string, Effect.Effect<A, E>>>
) => Effect.Effect<A, E>

/**
 * Makes the order of a capability. Throws when a failover option is out of range. Running it registers the metric of the
 * capability's answers, which starts at 0.
 */
export const make = (capability: string, options?: Failover.FailoverOptions): Effect.Effect<Ask> => {
  const failover = Failover.make(options)
  const ask: Ask = (vendors) =>
    failover.call(Object.fromEntries(Object.entries(vendors).map(([name, answer]) => [name, alone(answer)]))).pipe(
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

/** An answer says itself where it comes from. What a vendor looked up before it failed is no part of another's answer. */
const alone = <A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.provideService(answer, Provenance.Acceptance, undefined)

/** Reports the answer's own provenance to an enclosing `Provenance.withProvenance`. */
const tellingOn = <A extends { readonly provenance: Provenance.Provenance }, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const outside = fiber.getRef(Provenance.Acceptance)
    return outside === undefined ? self : Effect.map(self, (answer) => {
      outside.tell(answer.provenance)
      return answer
    })
  })

/** A fallback from another vendor's cache keeps the age that it has in that cache. */
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
