/** A transport without sockets. It plays a script on the provided clock, so that time is exact. */
import { type ResponseHeaders, Transport, type TransportRequest } from "@breakwater/core/transport/Transport"
import type { Reason } from "@breakwater/core/VendorError"
import { Duration, Effect, Layer } from "effect"

/** The result of a request, and the delay after it was sent. */
export type Play =
  & {
    /** @default "1 millis" */
    readonly after?: Duration.Input
  }
  & (
    | {
      readonly status: number
      readonly headers?: ResponseHeaders
      readonly json?: unknown
      readonly bytes?: Uint8Array
    }
    | { readonly reason: Reason }
  )

/** The script for the request with an index; `undefined` when the request never ends. */
export const layer = (script: (request: TransportRequest, index: number) => Play | undefined): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(Effect.context<never>(), (context) => {
      let count = 0
      return Transport.of({
        send(request, receiver) {
          const play = script(request, count++)
          let isCancelled = false
          queueMicrotask(() => {
            if (!isCancelled && (play === undefined || "status" in play)) receiver.onSent()
          })
          const fiber = Effect.runForkWith(context)(Effect.gen(function*() {
            if (play === undefined) return
            yield* Effect.sleep(play.after ?? Duration.millis(1))
            if ("reason" in play) return receiver.onError(play.reason)
            receiver.onHeaders(play.status, play.headers ?? {})
            receiver.onProgress()
            receiver.onEnd(play.bytes ?? Buffer.from(play.json === undefined ? "" : JSON.stringify(play.json)))
          }))
          return () => {
            isCancelled = true
            fiber.interruptUnsafe()
          }
        }
      })
    })
  )
