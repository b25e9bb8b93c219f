/** A vendor that exists only in tests: a contract with one endpoint of each kind, and a client of it against a script. */
import { bracketForm } from "@breakwater/core/client/BracketForm"
import type { Declaration } from "@breakwater/core/client/Declaration"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { Effect, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { type Script, serve } from "./ScriptedServer.ts"

export const Item = Schema.Struct({
  id: Schema.String,
  price: Schema.Int,
  maker: Schema.optionalKey(Schema.Struct({ city: Schema.String })),
  stock: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int))
})
export type Item = typeof Item.Type

export const Receipt = Schema.Struct({ receipt: Schema.String })
export const Declined = Schema.Struct({ declined: Schema.String })
export const Duplicate = Schema.Struct({ duplicateOf: Schema.String })
export const Missing = Schema.Struct({ missing: Schema.String })

const NewItem = Schema.Struct({
  name: Schema.String,
  price: Schema.Int,
  maker: Schema.Struct({ city: Schema.String }),
  note: Schema.optionalKey(Schema.String)
})

export const AcmeApi = HttpApi.make("acme").add(
  HttpApiGroup.make("items").add(
    HttpApiEndpoint.get("find", "/items/:id", {
      params: { id: Schema.String },
      query: {
        limit: Schema.optionalKey(Schema.FiniteFromString),
        tag: Schema.optionalKey(Schema.Array(Schema.String))
      },
      headers: { "X-Tenant": Schema.String, "x-trace": Schema.optionalKey(Schema.String) },
      success: Item,
      error: Missing.pipe(HttpApiSchema.status(404))
    }),
    HttpApiEndpoint.post("create", "/items", {
      payload: NewItem,
      success: [Item.pipe(HttpApiSchema.status(201)), Receipt.pipe(HttpApiSchema.status(202))],
      error: [Declined.pipe(HttpApiSchema.status(402)), Duplicate.pipe(HttpApiSchema.status(409))]
    }).annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.put("update", "/items/:id", {
      params: { id: Schema.String },
      payload: bracketForm(Schema.Struct({
        price: Schema.Int,
        labels: Schema.Record(Schema.String, Schema.String),
        sizes: Schema.Array(Schema.Struct({ width: Schema.Finite, isSold: Schema.Boolean }))
      })),
      success: Item
    }).annotate(Operation.Safety, "Idempotent"),
    HttpApiEndpoint.delete("remove", "/items/:id", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent
    }).annotate(Operation.Safety, "Idempotent"),
    HttpApiEndpoint.post("ship", "/items/:id/ship", {
      params: { id: Schema.String },
      success: HttpApiSchema.NoContent
    }).annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.get("label", "/items/:id/label", {
      params: { id: Schema.String },
      success: Schema.String.pipe(HttpApiSchema.asText())
    }),
    HttpApiEndpoint.get("list", "/items", {
      success: HttpApiSchema.WithHeaders(Schema.Array(Item), {
        etag: Schema.String,
        "x-total": Schema.FiniteFromString
      })
    })
  ),
  HttpApiGroup.make("status", { topLevel: true }).add(
    HttpApiEndpoint.get("ping", "/ping", { success: Schema.Struct({ ok: Schema.Boolean }) })
  )
)

export const declaration: Declaration<typeof AcmeApi> = {
  name: "acme",
  api: AcmeApi,
  baseUrl: "https://api.acme.example",
  idempotencyHeader: "Idempotency-Key",
  policy: { retry: { base: 0 } }
}

/** An item as it travels. */
export const anvil = { id: "anvil", price: 7 }

/** A client of Acme, and the server that plays it by a script. */
export const play = (script: Script, changes: Partial<Declaration<typeof AcmeApi>> = {}) =>
  Effect.gen(function*() {
    const server = yield* serve(script)
    const client = yield* Vendor.make({ ...declaration, baseUrl: server.baseUrl, ...changes })
    return { client, server }
  })

/** Over real sockets, all of which are gone at its end. */
export const overTheWire = Effect.provide(UndiciTransport.layer({ loopback: true }))
