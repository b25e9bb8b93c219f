/**
 * Records the traffic of a transport to a file, without its secrets, and replays it, so that a test runs without the
 * vendor. A recording that still holds a secret is not written. The recorder knows the credentials that were used, and
 * looks for them in every encoding, also where the vendor repeats them.
 *
 * A recording is meant to be reviewed: every byte is readable. It is not meant to be edited, and its checksum shows if
 * it was. For a vendor with state and refusals of its own, use its simulator.
 *
 * @example
 * ```ts
 * import { Vendor } from "@breakwater/core"
 * import { Simulator } from "@breakwater/core/simulator"
 * import { UndiciTransport } from "@breakwater/core/transport"
 * import * as Recorder from "@breakwater/core/testing/Recorder"
 * import { Effect, Schema } from "effect"
 * import { HttpApi, HttpApiBuilder, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
 * import { tmpdir } from "node:os"
 * import { join } from "node:path"
 *
 * const Api = HttpApi.make("acme").add(
 *   HttpApiGroup.make("bells", { topLevel: true }).add(HttpApiEndpoint.get("ring", "/ring", { success: Schema.String }))
 * )
 * const ring = (baseUrl: string) =>
 *   Effect.flatMap(Vendor.make({ name: "acme", api: Api, baseUrl }), (acme) => acme.ring())
 *
 * const file = join(tmpdir(), `breakwater-${process.pid}.json`)
 * const recorded = Effect.gen(function*() {
 *   const handlers = HttpApiBuilder.group(Api, "bells", (bells) => bells.handle("ring", () => Effect.succeed("ding")))
 *   const front: Simulator.Front = (_request, next) => Effect.orElseSucceed(next, () => Simulator.json(404, {}))
 *   const { baseUrl } = yield* Simulator.serve({ vendor: "acme", api: Api, handlers, front })
 *   return yield* ring(baseUrl).pipe(Recorder.record({ file }))
 * })
 * const network = Effect.provide(UndiciTransport.layer({ loopback: true }))
 * console.log(await Effect.runPromise(recorded.pipe(Effect.scoped, network))) // => ding
 *
 * const replayed = ring("https://api.acme.example").pipe(Recorder.replay({ file }))
 * console.log(await Effect.runPromise(Effect.scoped(replayed))) // => ding
 * ```
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { type CredentialRequest, Credentials } from "../credentials/Credential.ts"
import { ConnectFailed, type CredentialUnavailable } from "../Reason.ts"
import * as Redaction from "../Redaction.ts"
import { Transport } from "../transport/Transport.ts"
import * as Exchanges from "./Recorder/Exchanges.ts"
import * as Recording from "./Recorder/Recording.ts"

export interface RecordOptions {
  /** The file of the recording. It is replaced once the recording is complete, and otherwise left as it is. */
  readonly file: string
  /** Secrets to look for, besides those in the credentials and the requests. @default none */
  readonly secrets?: ReadonlyArray<Redacted.Redacted> | undefined
  /**
   * Names of headers whose values may be recorded, besides those that are the same everywhere. Any other header value
   * of a request counts as a secret.
   * @default none
   */
  readonly showHeaders?: ReadonlyArray<string> | undefined
}

export interface ReplayOptions {
  readonly file: string
}

/** A secret is still in the recording, so nothing was written. Says where it is, never which one it is. */
export class SecretSurvives extends Data.TaggedError("SecretSurvives")<{
  readonly file: string
  /** The index of the exchange, from 0. */
  readonly exchange: number
  readonly place: "request" | "response"
  readonly encoding: Redaction.Encoding
}> {
  override get message() {
    return `${this.file} was not written: a secret survives in the ${this.place} of exchange ${this.exchange}` +
      (this.encoding === "plain" ? "" : `, written as ${this.encoding}`)
  }
}

/** The recording cannot be written to this file. */
export class RecordingUnwritable extends Data.TaggedError("RecordingUnwritable")<{
  readonly file: string
  readonly code: string
}> {
  override get message() {
    return `${this.file} cannot be written (${this.code})`
  }
}

export class RecordingUnusable extends Data.TaggedError("RecordingUnusable")<{
  readonly file: string
  readonly problem: Recording.Problem
}> {
  override get message() {
    switch (this.problem) {
      case "Missing":
        return `${this.file} does not exist or cannot be read; record it first`
      case "NotARecording":
        return `${this.file} is not a recording`
      case "OtherVersion":
        return `${this.file} is a recording of another version; record it again`
      case "Changed":
        return `${this.file} was changed after it was recorded; record it again`
    }
  }
}

/** A request does not match any exchange left in the recording. */
export class RecordingMismatch extends Data.TaggedError("RecordingMismatch")<{
  readonly file: string
  readonly method: string
  /** The path without its secrets. */
  readonly path: string
}> {
  override get message() {
    return `${this.file} has no answer left for ${this.method} ${this.path}`
  }
}

/**
 * Records the requests and responses of an effect, and writes them once it has succeeded. Clients must be made inside
 * the effect, because a client keeps the transport that it was made with.
 */
export const record = (options: RecordOptions) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<
  A,
  E | SecretSurvives | RecordingUnwritable,
  Exclude<R, Transport> | Transport
> =>
  Effect.gen(function*() {
    const transport = yield* Transport
    const credentials = yield* Credentials
    const secrets = new Set<string>((options.secrets ?? []).map((secret) => Redacted.value(secret)))
    const exchanges = new Exchanges.Exchanges(
      secrets,
      new Set(options.showHeaders?.map((name) => name.toLowerCase()))
    )
    const value = yield* self.pipe(
      Effect.provideService(Transport, exchanges.over(transport)),
      Effect.provideService(Credentials, overheard(credentials, secrets))
    )
    const recorded = exchanges.recorded()
    yield* refuseSecrets(options.file, recorded, secrets)
    yield* Effect.mapError(
      Recording.write(options.file, recorded),
      (code) => new RecordingUnwritable({ file: options.file, code })
    )
    return value
  })

/** Replays a recording to an effect. Requests match by method, path and body; each exchange is used once, in order. */
export const replay = ({ file }: ReplayOptions) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | RecordingUnusable | RecordingMismatch, Exclude<R, Transport>> =>
  Effect.gen(function*() {
    const recorded = yield* Effect.mapError(
      Recording.read(file),
      (problem) => new RecordingUnusable({ file, problem })
    )
    const left = [...recorded]
    let mismatch: RecordingMismatch | undefined
    const transport = Transport.of({
      // Nothing is sent, so a base URL may be any that was recorded.
      refusal: () => undefined,
      send(request, receiver) {
        const asked = Exchanges.requestOf(request)
        const index = left.findIndex((exchange) => Exchanges.isSame(exchange.request, asked))
        const [exchange] = index < 0 ? [] : left.splice(index, 1)
        if (exchange === undefined) {
          mismatch ??= new RecordingMismatch({ file, method: asked.method, path: asked.path })
          return Exchanges.fail(receiver, new ConnectFailed("Unreachable"))
        }
        return Exchanges.play(exchange, receiver)
      }
    })
    const exit = yield* Effect.exit(Effect.provideService(self, Transport, transport))
    return yield* mismatch ?? exit
  })

/** Credentials that remember the secrets they return, for as long as the recording lasts. */
const overheard = (credentials: Credentials, secrets: Set<string>): Credentials => {
  const hear = (read: Effect.Effect<Redacted.Redacted, CredentialUnavailable>) =>
    Effect.tap(read, (secret) => Effect.sync(() => secrets.add(Redacted.value(secret))))
  const { renew } = credentials
  return {
    read: (request: CredentialRequest) => hear(credentials.read(request)),
    renew: renew === undefined ? undefined : (request, refused) => hear(renew.call(credentials, request, refused))
  }
}

const refuseSecrets = (
  file: string,
  exchanges: ReadonlyArray<Recording.Exchange>,
  secrets: ReadonlySet<string>
): Effect.Effect<void, SecretSurvives> => {
  for (const [exchange, { request, response }] of exchanges.entries()) {
    for (const [place, part] of [["request", request], ["response", response]] as const) {
      const survival = Redaction.survives(Recording.render(part), secrets)
      if (survival !== undefined) {
        return Effect.fail(new SecretSurvives({ file, exchange, place, encoding: survival.encoding }))
      }
    }
  }
  return Effect.void
}
