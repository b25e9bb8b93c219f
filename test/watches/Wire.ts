/** A transport as a test uses it: a request in, its outcome out. */
import { Transport, type TransportMisconfigured, type TransportRequest } from "@breakwater/core/transport/Transport"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import type { Reason } from "@breakwater/core/VendorError"
import { Context, Effect, Layer, type Scope } from "effect"
import { patience } from "./Patience.ts"

/** The outcome of a request. */
export interface Outcome {
  readonly sent: boolean
  readonly status: number | undefined
  readonly body: string | undefined
  readonly reason: Reason | undefined
}

export interface Wire {
  /** Sends a request and waits for its end; interrupting it cancels the request. */
  readonly send: (origin: string, request?: Partial<TransportRequest>) => Effect.Effect<Outcome>
  /** The reason of the failure, and whether a byte had been sent. */
  readonly refusal: (origin: string, request?: Partial<TransportRequest>) => Effect.Effect<Reason | Outcome>
}

/** A transport with these options and no others, until the scope ends. */
export const make = (
  options?: UndiciTransport.UndiciTransportOptions
): Effect.Effect<Wire, TransportMisconfigured, Scope.Scope> =>
  Effect.map(Layer.build(UndiciTransport.layer(options)), (context) => {
    const transport = Context.get(context, Transport)
    const send: Wire["send"] = (origin, request) =>
      Effect.callback<Outcome>((resume) => {
        let sent = false
        let status: number | undefined = undefined
        const end = (body: string | undefined, reason: Reason | undefined) =>
          resume(Effect.succeed({ sent, status, body, reason }))
        const cancel = transport.send({
          method: "GET",
          origin,
          path: "/",
          headers: [],
          body: undefined,
          connectTimeoutMillis: 3_000,
          maxBodyBytes: 100_000,
          maxRedirects: 0,
          ...request
        }, {
          onSent() {
            sent = true
          },
          onHeaders(code) {
            status = code
          },
          onProgress() {},
          onEnd: (body) => end(Buffer.from(body).toString("latin1"), undefined),
          onError: (reason) => end(undefined, reason)
        })
        return Effect.sync(cancel)
      }).pipe(
        Effect.timeoutOrElse({
          duration: patience,
          orElse: () => Effect.die(new Error(`waited in vain for the end of a request to ${origin}`))
        })
      )
    return {
      send,
      refusal: (origin, request) =>
        Effect.map(
          send(origin, request),
          (outcome) => outcome.sent || outcome.reason === undefined ? outcome : outcome.reason
        )
    }
  })

/** The outcome of one request, over a transport with these options. */
export const once = (
  options: UndiciTransport.UndiciTransportOptions,
  origin: string,
  request?: Partial<TransportRequest>
): Effect.Effect<Outcome, TransportMisconfigured> =>
  Effect.scoped(Effect.flatMap(make(options), ({ send }) => send(origin, request)))
