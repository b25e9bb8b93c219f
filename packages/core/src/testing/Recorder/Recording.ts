/** A recording as a file: readable JSON, with its version and a checksum over the exchanges. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { createHash, randomUUID } from "node:crypto"
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import * as Json from "../../transport/Json.ts"

/** A body, in its most readable form; bytes are base64. */
const Body = Schema.Union([
  Schema.Struct({ json: Schema.Unknown }),
  Schema.Struct({ form: Schema.String }),
  Schema.Struct({ text: Schema.String }),
  Schema.Struct({ bytes: Schema.String }),
  Schema.Null
])
export type Body = typeof Body.Type

const Headers = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)]))
const Phase = Schema.Literals(["Headers", "Body"])

/** The reasons with which a transport fails. */
const Failure = Schema.Union([
  Schema.TaggedStruct("Timeout", {
    phase: Schema.Literals(["Queue", "Secret", "Connect", "Headers", "Body"]),
    limitMillis: Schema.Finite
  }),
  Schema.TaggedStruct("ConnectFailed", {
    failure: Schema.Literals(["Dns", "Forbidden", "Pin", "Proxy", "Refused", "Tls", "Unreachable"])
  }),
  Schema.TaggedStruct("ConnectionLost", { phase: Phase }),
  Schema.TaggedStruct("InvalidRequest", { issue: Schema.String }),
  Schema.TaggedStruct("InvalidResponse", { status: Schema.NullOr(Schema.Int), issue: Schema.String }),
  Schema.TaggedStruct("ResponseTooLarge", { limitBytes: Schema.Finite })
])
export type Failure = typeof Failure.Type

const Response = Schema.Union([
  Schema.TaggedStruct("Answer", { status: Schema.Int, headers: Headers, body: Body }),
  Schema.TaggedStruct("Failure", { isSent: Schema.Boolean, reason: Failure }),
  /** The caller cancelled before there was a response. */
  Schema.TaggedStruct("Abandoned", {})
])
export type Response = typeof Response.Type

const Exchange = Schema.Struct({
  request: Schema.Struct({
    method: Schema.String,
    origin: Schema.String,
    path: Schema.String,
    headers: Headers,
    body: Body
  }),
  response: Response
})
export type Exchange = typeof Exchange.Type

const format = "breakwater-recording"
const version = 1

const Envelope = Schema.Struct({ format: Schema.Literal(format), version: Schema.Int })
const Recording = Schema.Struct({
  format: Schema.Literal(format),
  version: Schema.Literal(version),
  sha256: Schema.String,
  exchanges: Schema.Array(Exchange)
})

/** Why a file cannot be replayed. */
export type Problem =
  | "Missing"
  /** Another format. */
  | "NotARecording"
  /** A version that this code does not read. */
  | "OtherVersion"
  /** Changed after it was recorded. */
  | "Changed"

/** Any part of a recording as text; the same part always gives the same text. */
export const render = (part: unknown): string => JSON.stringify(part, null, 2)

const checksum = (exchanges: ReadonlyArray<Exchange>): string =>
  createHash("sha256").update(render(exchanges)).digest("hex")

/** Writes a recording in one step: concurrent readers see the old one. Fails with the system's code. */
export const write = (file: string, exchanges: ReadonlyArray<Exchange>): Effect.Effect<void, string> =>
  Effect.suspend(() => {
    const text = `${render({ format, version, sha256: checksum(exchanges), exchanges })}\n`
    const draft = `${file}.${randomUUID()}`
    return Effect.tryPromise({
      try: async () => {
        await mkdir(dirname(file), { recursive: true })
        await writeFile(draft, text, { flag: "wx" })
        await rename(draft, file)
      },
      catch: codeOf
    }).pipe(Effect.onError(() => Effect.promise(() => rm(draft, { force: true }).catch(() => {}))))
  })

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "unknown"

const isEnvelope = Schema.is(Envelope)
const isRecording = Schema.is(Recording)

/** Reads a recording, and checks that it has not changed since it was written. */
export const read = (file: string): Effect.Effect<ReadonlyArray<Exchange>, Problem> =>
  Effect.gen(function*() {
    const text = yield* Effect.tryPromise({ try: () => readFile(file, "utf8"), catch: (): Problem => "Missing" })
    const json = Json.parseText(text)
    if (!isEnvelope(json)) return yield* Effect.fail<Problem>("NotARecording")
    if (json.version !== version) return yield* Effect.fail<Problem>("OtherVersion")
    if (!isRecording(json)) return yield* Effect.fail<Problem>("NotARecording")
    if (checksum(json.exchanges) !== json.sha256) return yield* Effect.fail<Problem>("Changed")
    return json.exchanges
  })
