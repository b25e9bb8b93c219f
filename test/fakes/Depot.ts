/** A vendor without sockets that notes the secret of every request, and accepts some; with an operation of each kind. */
import type { Declaration } from "@breakwater/core/client/Declaration"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import type { Transport } from "@breakwater/core/transport/Transport"
import { type Duration, Effect, Fiber, type Layer, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { TestClock } from "effect/testing"
import * as FakeTransport from "./Transport.ts"

const Count = Schema.Struct({ n: Schema.Int })

export const DepotApi = HttpApi.make("depot").add(
  HttpApiGroup.make("goods", { topLevel: true }).add(
    HttpApiEndpoint.get("report", "/report", { success: Count }),
    HttpApiEndpoint.get("audit", "/audit", { success: Count }),
    HttpApiEndpoint.get("stock", "/stock", { success: Count })
      .annotate(Operation.Policy, { cache: { fresh: "1 hour" } }),
    HttpApiEndpoint.post("charge", "/charge", { success: Count }).annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.post("ship", "/ship", { success: HttpApiSchema.NoContent }).annotate(Operation.Safety, "Unsafe")
  )
)

export const declaration: Declaration<typeof DepotApi> = {
  name: "depot",
  api: DepotApi,
  baseUrl: "https://depot.example",
  auth: { _tag: "Bearer" },
  idempotencyHeader: "Idempotency-Key",
  policy: { retry: false }
}

export const make = (changes: Partial<Declaration<typeof DepotApi>> = {}) => Vendor.make({ ...declaration, ...changes })

/** A request that the vendor got. */
export interface Sent {
  readonly path: string
  readonly secret: string
  readonly idempotencyKey: string | undefined
}

export interface Depot {
  readonly sent: Array<Sent>
  /** The secrets of the requests, in their order. */
  readonly secrets: ReadonlyArray<string>
  readonly transport: Layer.Layer<Transport>
}

/** A vendor that answers by a function, after a millisecond; by default it accepts everything. */
export const serve = (
  answer: (sent: Sent, index: number) => FakeTransport.Play | undefined = () => ok
): Depot => {
  const sent: Array<Sent> = []
  return {
    sent,
    get secrets() {
      return sent.map(({ secret }) => secret)
    },
    transport: FakeTransport.layer(({ headers, path }, index) => {
      const header = (name: string) => headers.includes(name) ? headers[headers.indexOf(name) + 1] : undefined
      const request: Sent = {
        path,
        secret: header("authorization")?.replace("Bearer ", "") ?? "",
        idempotencyKey: header("Idempotency-Key")
      }
      sent.push(request)
      const play = answer(request, index)
      return play === ok
        ? { status: path === "/ship" ? 204 : 200, ...(path === "/ship" ? {} : { json: { n: index } }) }
        : play
    })
  }
}

export const ok: FakeTransport.Play = { status: 200 }
export const refused: FakeTransport.Play = { status: 401 }

/** Lets virtual time pass, in which an effect ends. */
export const soon = <A, E, R>(effect: Effect.Effect<A, E, R>, time: Duration.Input = "10 millis") =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust(time)
    return yield* Fiber.join(fiber)
  })
