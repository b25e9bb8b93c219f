/**
 * Calls to a vendor that repeats everything, with a secret in every place of a request, and all their visible output:
 * errors and causes in every rendering, logs at every level by every logger, spans, metrics, and all public values.
 */
import { bracketForm } from "@breakwater/core/client/BracketForm"
import type { Auth } from "@breakwater/core/client/Declaration"
import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import * as Order from "@breakwater/core/stack/Order"
import * as Policy from "@breakwater/core/stack/Policy"
import * as Stack from "@breakwater/core/stack/Stack"
import * as Transport from "@breakwater/core/transport/Transport"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import {
  Cause,
  ConfigProvider,
  Console,
  Effect,
  Exit,
  Logger,
  Metric,
  References,
  Schema,
  SchemaTransformation
} from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { PrometheusMetrics } from "effect/observability"
import { inspect } from "node:util"
import * as MemoryTracer from "../watches/MemoryTracer.ts"
import * as Echo from "./Echo.ts"
import { nameLike, plain, random, Search, unshaped } from "./Marks.ts"
import { renderings } from "./Renderings.ts"

/** A codec that throws its input, as careless ones do. */
const Careless = Schema.String.pipe(Schema.decodeTo(
  Schema.String,
  SchemaTransformation.transform({
    decode: (text: string): string => {
      throw new Error(`cannot read ${text}`)
    },
    encode: (text: string): string => {
      if (text.startsWith("bad")) throw new Error(`cannot write ${text}`)
      return text
    }
  })
))

const Item = Schema.Struct({
  id: Schema.String,
  price: Schema.Int,
  stock: Schema.optionalKey(Schema.Record(Schema.String, Schema.Int))
})
const Refused = Schema.Struct({ refused: Schema.String }).pipe(HttpApiSchema.status(422))

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("find", "/items/:id", {
      params: { id: Schema.String },
      query: { api_key: Schema.String, note: Schema.String },
      headers: { cookie: Schema.String, "x-acme-tenant": Schema.String },
      success: Item,
      error: Refused
    }),
    HttpApiEndpoint.post("login", "/login", {
      payload: bracketForm(Schema.Struct({ password: Schema.String, card: Schema.Struct({ cvc: Schema.String }) })),
      success: Item,
      error: Refused
    }).annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.post("rotate", "/secrets", {
      payload: Schema.Struct({
        webhook_secret: Schema.String,
        nested: Schema.Struct({ note: Schema.String, more: Schema.String })
      }),
      success: Item,
      error: Refused
    }).annotate(Operation.Safety, "Unsafe"),
    HttpApiEndpoint.get("careless", "/careless/:id", {
      params: { id: Careless },
      success: Schema.Struct({ id: Careless })
    })
  )
)

/** A planted secret and its place. */
export const plant = () => ({
  credential: nameLike(),
  user: plain(),
  path: plain(),
  query: unshaped(),
  note: random(20, "lower"),
  cookie: plain(),
  header: plain(),
  form: unshaped(),
  card: plain(),
  json: unshaped(),
  nested: plain(),
  /** A secret in a telling place that could also be a name. */
  shaped: `sk_live_${random(18, "lower")}`,
  key: plain()
})
export type Planted = ReturnType<typeof plant>

export const auths = (planted: Planted): ReadonlyArray<Auth> => [
  { _tag: "Bearer" },
  { _tag: "Header", name: "X-Acme" },
  { _tag: "Basic", user: planted.user }
]

export const declaration = (baseUrl: string, auth: Auth): Parameters<typeof Vendor.make<typeof Api>>[0] => ({
  name: "acme",
  api: Api,
  baseUrl,
  auth,
  idempotencyHeader: "Idempotency-Key",
  policy: { retry: { retries: 1, base: 0 }, breaker: false, deadline: "5 seconds" }
})

type AcmeClient = Effect.Success<ReturnType<typeof Vendor.make<typeof Api>>>

/** One call to every endpoint, each with its secrets. */
export const calls = (client: AcmeClient, planted: Planted) => ({
  find: client.find({
    params: { id: planted.path },
    query: { api_key: planted.query, note: planted.note },
    headers: { cookie: `sid=${planted.cookie}`, "x-acme-tenant": planted.header }
  }),
  login: client.login({ payload: { password: planted.form, card: { cvc: planted.card } } }, {
    idempotencyKey: planted.key
  }),
  rotate: client.rotate({
    payload: { webhook_secret: planted.json, nested: { note: planted.nested, more: planted.shaped } }
  }),
  careless: client.careless({ params: { id: planted.path } }),
  "input that does not fit": client.login({
    payload: { password: planted.form, card: planted.card as unknown as { cvc: string } }
  }),
  "input that a codec refuses": client.careless({ params: { id: `bad${planted.path}` } }),
  "a header that cannot be sent": client.find({
    params: { id: planted.path },
    query: { api_key: planted.query, note: planted.note },
    headers: { cookie: `sid=${planted.cookie}\n`, "x-acme-tenant": `${planted.header}\u0000` }
  }),
  "a key that cannot be sent": client.login(
    { payload: { password: planted.form, card: { cvc: planted.card } } },
    { idempotencyKey: `${planted.key} é` }
  )
})

const callNames = [
  "find",
  "login",
  "rotate",
  "careless",
  "input that does not fit",
  "input that a codec refuses",
  "a header that cannot be sent",
  "a key that cannot be sent"
] as const satisfies ReadonlyArray<keyof ReturnType<typeof calls>>

/** Calls that are refused before anything is sent. */
const unsent: ReadonlySet<string> = new Set(callNames.slice(4))

/** Everything that is logged, at every level, by every logger that Effect has. */
export const captured = () => {
  const lines: Array<string> = []
  const print = (...values: ReadonlyArray<unknown>) => {
    lines.push(values.map((value) => typeof value === "string" ? value : inspect(value, { depth: 20 })).join(" "))
  }
  const capturing = new Proxy(console, { get: () => print })
  return {
    text: () => lines.join("\n"),
    layer: Logger.layer([
      Logger.defaultLogger,
      Logger.consolePretty({ mode: "tty" }),
      Logger.consoleLogFmt,
      Logger.consoleJson,
      Logger.consoleStructured,
      Logger.tracerLogger
    ]),
    provide: <A, E, R>(self: Effect.Effect<A, E, R>) =>
      self.pipe(
        Effect.provideService(Console.Console, capturing),
        Effect.provideService(References.MinimumLogLevel, "All")
      )
  }
}

const searchAll = (search: Search, where: string, value: unknown) => {
  for (const [how, text] of renderings(value)) search.in(`${where}, ${how}`, text)
}

/** Spans as an exporter writes them: attributes, events, and what Effect makes of their end. */
const searchSpans = (search: Search, spans: MemoryTracer.MemoryTracer["spans"]) => {
  for (const span of spans) {
    const { attributes, events, kind, links, name, status } = span
    // The span ends with the caller's own handling of a declared error.
    if (name === "caller") continue
    search.in(
      `the span ${name}`,
      inspect({ name, kind, attributes, events, links, status }, { depth: 20, showHidden: true })
    )
    if (status._tag !== "Ended" || !Exit.isFailure(status.exit)) continue
    for (const error of Cause.prettyErrors(status.exit.cause, { includeCauseInStack: true })) {
      search.in(`the exception of the span ${name}`, `${error.name}\n${error.message}\n${error.stack ?? ""}`)
    }
  }
}

/** All leaks. */
export const wire: Effect.Effect<ReadonlyArray<string>> = Effect.gen(function*() {
  const planted = plant()
  const search = new Search(Object.values(planted))
  const logs = captured()
  const tracer = MemoryTracer.make()
  yield* Effect.gen(function*() {
    const echo = yield* Echo.serve
    const transport = yield* Transport.Transport
    for (const auth of auths(planted)) {
      for (const [manner, behave] of Object.entries(Echo.manners)) {
        echo.behave(behave)
        // Only the credential differs, and it is the same for all of them.
        for (const call of auth._tag === "Bearer" ? callNames : callNames.slice(0, 1)) {
          const where = `${call} with ${auth._tag}, answered with ${manner}`
          // A new one for each: a client sends nothing with a credential that has been refused twice.
          const client = yield* Vendor.make(declaration(echo.baseUrl, auth))
          const before = echo.count()
          const exit = yield* Effect.exit(calls(client, planted)[call] as Effect.Effect<unknown, unknown>).pipe(
            Effect.withSpan("caller")
          )
          if (!unsent.has(call) && echo.count() === before) search.found.push(`${where}: nothing was sent`)
          // A success, and an error that the contract declares, are the caller's own.
          if (
            Exit.isSuccess(exit) ||
            exit.cause.reasons.some((reason) => reason._tag === "Fail" && isDeclared(reason.error))
          ) {
            continue
          }
          searchAll(search, where, exit)
          for (
            const log of [
              Effect.logTrace,
              Effect.logDebug,
              Effect.logInfo,
              Effect.logWarning,
              Effect.logError,
              Effect.logFatal
            ]
          ) {
            yield* log("a call failed", exit.cause)
            yield* log(exit)
          }
        }
      }
      searchAll(search, "the client", yield* Vendor.make(declaration(echo.baseUrl, auth)))
    }
    // A test that plants nothing finds nothing.
    const heard = decodeURIComponent(echo.heard().replaceAll("+", " "))
    for (const [place, secret] of Object.entries(planted)) {
      const isHeard = [secret, JSON.stringify(secret).slice(1, -1), JSON.stringify(JSON.stringify(secret)).slice(3, -3)]
        .some((spelling) => heard.includes(spelling) || heard.includes(latin1(spelling)))
      if (place !== "user" && !isHeard) search.found.push(`the ${place} was never sent`)
    }
    for (const [what, request] of Object.entries(unsendable(planted))) {
      const reason = yield* Effect.callback<unknown>((resume) => {
        const end = (reason?: unknown) => resume(Effect.succeed(reason))
        transport.send(
          {
            method: "GET",
            origin: echo.baseUrl,
            body: undefined,
            connectTimeoutMillis: 1_000,
            maxBodyBytes: 10_000,
            maxRedirects: 0,
            ...request
          },
          { onSent() {}, onHeaders() {}, onProgress() {}, onEnd: () => end(), onError: end }
        )
      })
      if (reason === undefined) search.found.push(`${what}: it was sent`)
      searchAll(search, what, reason)
    }
    searchAll(search, "the transport", transport)
    const policy = { rateLimit: { limit: 5, window: "1 second" } } satisfies Policy.Policy
    searchAll(search, "the gates", Order.makeGates(policy))
    searchAll(search, "the stack", Stack.make({ vendor: "acme", operation: "find", safety: "Idempotent", policy }))
    const credentials = yield* Credential.Credentials
    searchAll(search, "the credentials", credentials)
    searchAll(search, "a credential", yield* credentials.read({ vendor: "acme", key: "" }))
    searchAll(search, "a credential's exit", yield* Effect.exit(credentials.read({ vendor: "acme", key: "" })))
    const metrics = yield* Metric.snapshot
    searchAll(search, "the metrics", metrics)
    search.in("the metrics for Prometheus", yield* PrometheusMetrics.format())
  }).pipe(
    Effect.provide([UndiciTransport.layer({ loopback: true }), logs.layer, tracer.layer]),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ACME_API_KEY: planted.credential }))),
    Effect.provideService(Metric.MetricRegistry, new Map()),
    logs.provide,
    Effect.scoped,
    Effect.orDie
  )
  search.in("the logs", logs.text())
  if (!logs.text().includes("a call failed")) search.found.push("nothing was logged")
  searchSpans(search, tracer.spans)
  if (tracer.spans.length < 100) search.found.push("nothing was traced")
  return [...new Set(search.found)]
})

/** Requests that the transport itself rejects when the client does not. */
const unsendable = ({ header, key, path }: Planted) => ({
  "a path that cannot be sent": { path: `/ ${path}`, headers: [] },
  "a name of a header that cannot be sent": { path: "/", headers: [`x ${header}`, "1"] },
  "a value of a header that cannot be sent": { path: "/", headers: ["x-acme", `${key}\n`] }
})

const latin1 = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

const isDeclared = (error: unknown): boolean => typeof error === "object" && error !== null && "refused" in error
