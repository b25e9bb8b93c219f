/**
 * A rotation of a key while two hundred calls are in flight. The vendor answers all of them at once, when all have
 * arrived. The keys that it accepts change between two such rounds.
 */
import * as Vendor from "@breakwater/core/client/Vendor"
import type { TransportMisconfigured } from "@breakwater/core/transport/Transport"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import type { VendorError } from "@breakwater/core/VendorError"
import { assert } from "@effect/vitest"
import { Effect, Fiber, type Layer, type Scope } from "effect"
import { createServer, type ServerResponse } from "node:http"
import { declaration } from "../fakes/Acme.ts"
import * as Loopback from "../fakes/Loopback.ts"
import * as Watch from "../watches/Watch.ts"

const inFlight = 200

export interface Rotation<E, R> {
  readonly credentials: Layer.Layer<never, E, R>
  readonly first: string
  readonly second: string
  /** Replaces the first secret with the second, while all calls are in flight. */
  readonly rotate: Effect.Effect<void, never, R>
  /** Whether the vendor accepts both for a while, or rejects the first from the rotation on. */
  readonly overlap: boolean
}

/** A vendor that accepts bearer tokens, and answers when {@link inFlight} requests are waiting. */
const serve = Effect.gen(function*() {
  const { changed, until } = Watch.make()
  const vendor = {
    accepted: new Set<string>(),
    /** The tokens of the requests of each round, from the first on. */
    rounds: [] as Array<ReadonlyArray<string>>,
    /** A round is answered as soon as it is full. */
    isOpen: true,
    isOver: false,
    refused: 0
  }
  let waiting: Array<{ readonly token: string; readonly answer: ServerResponse }> = []
  const answer = (response: ServerResponse, token: string) => {
    const isAccepted = vendor.accepted.has(token)
    if (!isAccepted) vendor.refused++
    response.writeHead(isAccepted ? 200 : 401, { "content-type": "application/json" }).end("{\"ok\":true}")
  }
  const answerRound = () => {
    const round = waiting
    waiting = []
    vendor.rounds.push(round.map(({ token }) => token))
    for (const { answer: response, token } of round) answer(response, token)
  }
  const settle = () => {
    if (vendor.isOver || (vendor.isOpen && waiting.length >= inFlight)) answerRound()
    changed()
  }
  const server = createServer((request, response) => {
    const token = (request.headers.authorization ?? "").replace("Bearer ", "")
    // A rejection comes at once: a rejected call is back before the round is full.
    if (!vendor.accepted.has(token)) return answer(response, token)
    waiting.push({ token, answer: response })
    settle()
  })
  const { port } = yield* Loopback.listen(server)
  return {
    vendor,
    baseUrl: `http://127.0.0.1:${port}`,
    settle,
    untilFull: until("all calls are in flight", () => waiting.length >= inFlight),
    untilRounds: (isSo: () => boolean) => until("the rounds have been as they should", isSo)
  }
})

/** Rotates a key under load; no call may fail, and the old key may not be seen after the overlap. */
export const underLoad = <E, R>(
  { credentials, first, overlap, rotate, second }: Rotation<E, R>
): Effect.Effect<void, E | Vendor.VendorMisconfigured | TransportMisconfigured | VendorError, R | Scope.Scope> =>
  Effect.gen(function*() {
    const { baseUrl, settle, untilFull, untilRounds, vendor } = yield* serve
    vendor.accepted = new Set([first])
    const load = Effect.gen(function*() {
      const client = yield* Effect.orDie(Vendor.make({
        ...declaration,
        baseUrl,
        auth: { _tag: "Bearer" },
        // Patient: on a busy machine, two hundred connections at once take their time.
        policy: {
          bulkhead: { limit: inFlight },
          retry: false,
          deadline: "1 minute",
          attemptTimeout: "1 minute",
          connectTimeout: "1 minute"
        }
      }))
      const worker = Effect.gen(function*() {
        while (!vendor.isOver) yield* client.ping()
      })
      yield* Effect.all(Array.from({ length: inFlight }, () => worker), { concurrency: inFlight, discard: true })
    }).pipe(Effect.provide([credentials, UndiciTransport.layer({ connections: inFlight, loopback: true })]))
    const fiber = yield* Effect.forkChild(load)
    const rotated = Effect.gen(function*() {
      yield* untilRounds(() => vendor.rounds.length >= 2)
      vendor.isOpen = false
      yield* untilFull
      vendor.accepted = new Set(overlap ? [first, second] : [second])
      yield* rotate
      vendor.isOpen = true
      settle()
      yield* untilRounds(() => vendor.rounds.at(-1)!.every((token) => token === second))
      const before = vendor.rounds.length
      vendor.accepted = new Set([second])
      yield* untilRounds(() => vendor.rounds.length >= before + 3)
      vendor.isOver = true
      settle()
      yield* Fiber.join(fiber)
      for (const round of vendor.rounds.slice(before, before + 3)) {
        assert.deepStrictEqual(new Set(round), new Set([second]))
      }
      // With an overlap no call is rejected. Without one, each call in flight is rejected once.
      assert.isAtMost(vendor.refused, overlap ? 0 : inFlight)
      assert.isTrue(overlap || vendor.refused > 0, "somebody was refused")
    })
    // A call that fails ends the load, and with it the wait.
    yield* Effect.raceFirst(rotated, Effect.andThen(Fiber.join(fiber), Effect.never))
  })
