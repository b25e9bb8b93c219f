/**
 * The certificate that the transport presents to vendors that ask for one: a constant, or read for every new connection,
 * so that a renewed one needs no restart.
 *
 * @example
 * ```ts
 * import { ClientCertificate, UndiciTransport } from "@breakwater/core/transport"
 *
 * const client = ClientCertificate.files({ certificate: "/etc/shop/client.pem", key: "/etc/shop/client.key" })
 * export const transport = UndiciTransport.layer({ tls: { client } })
 * ```
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"

export interface ClientCertificate {
  /** The certificate, followed by its intermediates, as PEM. */
  readonly certificate: string
  /** Its private key, as PEM. */
  readonly key: Redacted.Redacted
  /** The passphrase of the key. @default the key is not encrypted */
  readonly passphrase?: Redacted.Redacted | undefined
}

/** Reads the present certificate; an error's text is not shown. */
export type Source = Effect.Effect<ClientCertificate, unknown>

/** The paths of a certificate and its key. */
export interface Files {
  readonly certificate: string
  readonly key: string
  /** The passphrase of the key. @default the key is not encrypted */
  readonly passphrase?: Redacted.Redacted | undefined
}

/** A certificate and its key in files, which may be replaced at any time. */
export const files = ({ certificate, key, passphrase }: Files): Source =>
  Effect.tryPromise(async () => {
    const [cert, secret] = await Promise.all([readFile(certificate, "utf8"), readFile(key, "utf8")])
    return { certificate: cert, key: Redacted.make(secret), passphrase }
  })

/**
 * Reads the present certificate and makes something of it, anew only when the certificate has changed. A source that fails, or that has a
 * certificate and a key that do not fit, is logged once, and the last good certificate serves on. Fails without one.
 */
export const latest = <A>(
  source: Source,
  make: (client: ClientCertificate) => A
): Effect.Effect<A, "NoCertificate"> => {
  let good: { readonly text: string; readonly made: A } | undefined
  let isFailing = false
  const present = Effect.map(source, (client) => {
    const text = textOf(client)
    if (good?.text !== text) good = { text, made: make(client) }
    return good.made
  })
  /** The reading under way, which all connections join. It goes on without them, so that a slow source is heard. */
  let reading: Fiber.Fiber<A, unknown> | undefined
  const begun = Effect.suspend(() => {
    if (reading !== undefined) return Effect.succeed(reading)
    return Effect.tap(Effect.forkDetach(Effect.timeout(present, firstMillis)), (fiber) =>
      Effect.sync(() => {
        reading = fiber
        fiber.addObserver(() => reading = undefined)
      }))
  })
  const read = Effect.suspend(() =>
    Effect.timeout(Effect.flatMap(begun, Fiber.join), good === undefined ? firstMillis : laterMillis)
  )
  return Effect.flatMap(Effect.exit(read), (exit): Effect.Effect<A, "NoCertificate"> => {
    if (Exit.isSuccess(exit)) {
      isFailing = false
      return Effect.succeed(exit.value)
    }
    if (good === undefined) return Effect.fail("NoCertificate")
    const warned = isFailing
      ? Effect.void
      : Effect.logWarning("the client certificate cannot be read; the last one is used")
    isFailing = true
    return Effect.as(warned, good.made)
  })
}

/**
 * The longest reading of a source, and the longest wait for it while the last good certificate can be used instead, in
 * milliseconds. Our own judgement: a secret manager takes no minute, and 200 ms leave most of a connection's time.
 */
const [firstMillis, laterMillis] = [60_000, 200]

const textOf = ({ certificate, key, passphrase }: ClientCertificate): string =>
  JSON.stringify([certificate, Redacted.value(key), passphrase === undefined ? "" : Redacted.value(passphrase)])
