/**
 * The transport over undici: one dispatch per request, the body in one buffer, every socket given back when it is over.
 * Limits that undici leaves to its callers are kept here: the size of a body, and the end of a connection nobody waits
 * for any more.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Transport } from "./Transport.ts"
import { type AgentOptions, Agents } from "./UndiciTransport/Agents.ts"
import { Exchange } from "./UndiciTransport/Exchange.ts"

export interface UndiciTransportOptions extends AgentOptions {}

/** The transport; its sockets are closed with its scope. Dies when an option is out of its range. */
export const layer = (options: UndiciTransportOptions = {}): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => new Agents(options)),
        (agents) => Effect.promise(() => agents.destroy())
      ),
      (agents) =>
        Transport.of({
          send(request, receiver) {
            const exchange = new Exchange(request, receiver)
            exchange.start(agents.for(request.connectTimeoutMillis))
            return () => exchange.cancel()
          }
        })
    )
  )
