/**
 * The demo server in its own process: its responses, pages, logs, exports and crash files, with secrets in its
 * environment, in its clients' requests, and in its vendors' responses.
 */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as ScriptedServer from "../fakes/ScriptedServer.ts"
import * as DemoServer from "../processes/DemoServer.ts"
import { patience } from "../watches/Patience.ts"
import { until } from "../watches/Until.ts"
import { bombs } from "./Bombs.ts"
import * as Echo from "./Echo.ts"
import { plain, random, Search } from "./Marks.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const preload = (file: string): string => `--import ${new URL(file, import.meta.url).href}`
/** A mutant of the product also applies to the processes that the product starts. */
const settings = (...options: ReadonlyArray<string>): Record<string, string> => {
  const mutant = process.env["BREAKWATER_MUTANT"]
  return mutant === undefined
    ? { NODE_OPTIONS: options.join(" ") }
    : {
      NODE_OPTIONS: [preload("../../scripts/mutation/preload.ts"), ...options].join(" "),
      BREAKWATER_MUTANT: mutant
    }
}

const plant = () => {
  const shaped = `sk_live_${random(18, "lower")}`
  return {
    /** Is the key of a vendor, with no shape. */
    key: plain(),
    /** Are those of other vendors: one in a header of its own, one after a scheme of its own. */
    rates: plain(),
    countries: plain(),
    places: plain(),
    /** Is in the environment under a secret's name. */
    webhook: plain(),
    /** Is known by its name alone, wherever it stands. */
    named: plain(),
    /** Is known by its name in a URL, and is not in the environment, where the server would learn it. */
    query: plain(),
    header: plain(),
    cookie: plain(),
    field: plain(),
    body: plain(),
    /** Is known by its shape, wherever it stands. */
    shaped
  }
}
type Planted = ReturnType<typeof plant>

const environmentOf = (planted: Planted): Record<string, string> => ({
  STRIPE_API_KEY: planted.key,
  STRIPE_WEBHOOK_SECRET: planted.webhook,
  DATABASE_URL: `postgres://user:${planted.named}@database.example/books`,
  MARKED_NOTE: planted.named,
  MARKED_SHAPE: planted.shaped,
  LOG_LEVEL: "All"
})

interface Asked {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

/** Requests of the server's clients, each with its secrets. */
const requestsOf = ({ body, field, named, query, shaped }: Planted): ReadonlyArray<Asked> => {
  const order = { amount: 1999, currency: "EUR", paymentMethod: field, reference: "order-1" }
  const id = `pay_${Buffer.from(`stripe:${shaped}`).toString("base64url")}`
  return [
    { method: "POST", path: "/payments", body: order },
    { method: "POST", path: "/payments", body: { ...order, amount: field } },
    { method: "POST", path: "/payments", body: { ...order, currency: field } },
    { method: "POST", path: "/payments", body: { ...order, reference: field.repeat(20) } },
    { method: "POST", path: "/payments", body: { ...order, [field]: field } },
    // A vendor's second refusal of a credential is logged.
    { method: "POST", path: "/payments", body: { ...order, reference: "order-2" } },
    { method: "POST", path: "/payments", body },
    { method: "GET", path: `/payments/${id}` },
    { method: "GET", path: `/payments/${shaped}` },
    { method: "GET", path: "/payments/pay_flaw" },
    { method: "POST", path: `/payments/${id}/refunds`, body: { amount: field } },
    { method: "GET", path: `/rates/EUR/USD?api_key=${query}&note=${shaped}` },
    { method: "GET", path: `/rates/${shaped}/USD` },
    { method: "GET", path: `/countries?api_key=${query}&token=${named}` },
    { method: "GET", path: "/countries/NL" },
    { method: "GET", path: `/countries/${shaped}` },
    { method: "GET", path: `/nowhere/${shaped}?access%5Ftoken=${query}` },
    { method: "DELETE", path: `/health/live?sig=${named}` }
  ]
}

const pages = ["/docs", "/openapi.json", "/metrics", "/health/live", "/health/ready", "/"]

const controls = ({ field, shaped }: Planted): ReadonlyArray<Asked> => [
  { method: "GET", path: "/_simulators" },
  { method: "GET", path: "/_journal/stripe" },
  { method: "GET", path: "/_journal/frankfurter" },
  { method: "GET", path: `/_journal/${shaped}` },
  { method: "GET", path: `/_nothing/${shaped}` },
  { method: "PUT", path: "/_faults/stripe", body: { [field]: field } },
  { method: "PUT", path: `/_faults/${shaped}`, body: { _tag: field } }
]

/** Responses of the vendors. A rejected credential comes last, because no request is sent after it. */
const manners = [
  "values",
  "keys of a record",
  "a page",
  "a redirect",
  "an invalid header",
  "a declared error",
  "a refusal of the credential"
]

type Leaks = Effect.Effect<ReadonlyArray<string>, unknown, Scope.Scope>

type Output = readonly [where: string, text: string]

/** Sends requests, and keeps all responses, to be searched after the server has finished. */
const ask = (outputs: Array<Output>, where: string, origin: string, planted: Planted, asked: Asked) =>
  Effect.map(
    DemoServer.request(asked.method, `${origin}${asked.path}`, {
      body: asked.body,
      headers: {
        authorization: `Bearer ${planted.header}`,
        "x-api-key": planted.header,
        "idempotency-key": planted.header,
        cookie: `sid=${planted.cookie}`,
        "x-request-id": planted.shaped,
        "user-agent": `curl ${planted.shaped}`
      }
    }),
    ({ headers, status, text }) => {
      const name = `${asked.method} ${asked.path.replaceAll(/\w{20,}/g, "…")}, ${where}`
      outputs.push(
        [`${name}, status and headers`, JSON.stringify([status, [...headers]])],
        // The reference page's library is large and public.
        [name, text.replaceAll(/<script>[^]{1000000,}?<\/script>/g, "")]
      )
    }
  )

/** Serves, with vendors that repeat everything, and with simulated ones. */
const serving = (isSimulated: boolean): Leaks =>
  Effect.gen(function*() {
    const planted = plant()
    const search = new Search(Object.values(planted))
    const echo = yield* Echo.serve
    const collector = yield* ScriptedServer.serve(() => ScriptedServer.json({}))
    const outputs: Array<Output> = []
    const { STRIPE_API_KEY, ...environment } = environmentOf(planted)
    const server = yield* DemoServer.start({
      ...environment,
      ...(isSimulated ? {} : {
        STRIPE_API_KEY: STRIPE_API_KEY!,
        STRIPE_BASE_URL: echo.baseUrl,
        FRANKFURTER_BASE_URL: echo.baseUrl,
        OPEN_EXCHANGE_RATES_BASE_URL: echo.baseUrl,
        OPEN_EXCHANGE_RATES_API_KEY: planted.rates,
        REST_COUNTRIES_BASE_URL: echo.baseUrl,
        REST_COUNTRIES_API_KEY: planted.countries,
        COUNTRY_STATE_CITY_BASE_URL: echo.baseUrl,
        COUNTRY_STATE_CITY_API_KEY: planted.places
      }),
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.baseUrl,
      ...settings(preload("./Flaw.ts"))
    })
    for (const manner of isSimulated ? ["simulators"] : manners) {
      echo.behave(Echo.manners[manner] ?? (() => ""))
      for (const asked of requestsOf(planted)) yield* ask(outputs, manner, server.url, planted, asked)
    }
    // They are large, and do not depend on the vendors' responses.
    for (const path of isSimulated ? pages : ["/metrics", "/health/ready"]) {
      yield* ask(outputs, "", server.url, planted, { method: "GET", path })
    }
    // A simulator repeats its request by design; only our own words about it are searched.
    const { json } = yield* DemoServer.request("GET", `${server.control}/_simulators`)
    for (const { baseUrl } of json as ReadonlyArray<{ readonly baseUrl: string }>) {
      yield* DemoServer.request("GET", `${baseUrl}/v1/${planted.shaped}?key=${planted.named}`)
    }
    for (const asked of controls(planted)) {
      yield* ask(outputs, "the control", server.control, planted, asked)
    }
    const code = yield* server.stop
    if (code !== 0) {
      search.found.push(`it ended with ${code}`)
    }
    outputs.push(["the printed output", server.output()])
    const traces = collector.seen.map(({ body }) => body)
    for (const trace of traces) outputs.push(["the exported traces", trace])
    for (const [where, text] of outputs) search.in(where, text)
    // A test that plants nothing finds nothing.
    if (!traces.some((trace) => trace.includes("url.full") && trace.includes("<redacted>"))) {
      search.found.push("nothing was exported")
    }
    if (!server.output().includes("a request failed")) search.found.push("no mistake was made")
    if (!isSimulated) {
      for (const key of ["key", "rates", "countries", "places"] as const) {
        if (!echo.heard().includes(planted[key])) search.found.push(`the ${key} was never sent`)
      }
      if (!echo.heard().includes(planted.field)) search.found.push("the field was never sent")
      if (!server.output().includes("no longer accepts the credential")) search.found.push("nothing was logged")
    }
    return search.found
  })

interface Ended {
  readonly code: number | null
  readonly output: string
}

/** Runs the server until it ends by itself. */
const ending = (
  environment: Record<string, string>,
  onOutput: (child: ChildProcess, output: string) => void = () => {}
) =>
  Effect.callback<Ended>((resume) => {
    const child = spawn(process.execPath, ["apps/demo-server/src/main.ts"], {
      cwd: root,
      env: { PATH: process.env["PATH"], PORT: "0", SIMULATORS_PORT: "0", NO_COLOR: "1", ...environment },
      stdio: ["ignore", "pipe", "pipe"]
    })
    let output = ""
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      onOutput(child, output)
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("close", (code) => resume(Effect.succeed({ code, output })))
    return Effect.sync(() => child.kill("SIGKILL"))
  }).pipe(Effect.timeout(patience))

/** Whether both its ports listen. */
const isUp = (output: string): boolean => output.split("Listening on ").length === 3

/** Crashes, as Node does and with the report that Node writes. */
const crashing = (bomb: string): Leaks =>
  Effect.gen(function*() {
    const planted = plant()
    const search = new Search(Object.values(planted))
    const folder = yield* temporaryFolder
    let isLit = false
    const { code, output } = yield* ending({
      ...environmentOf(planted),
      BOMB: bomb,
      ...settings("--report-uncaught-exception", `--report-directory=${folder}`, preload("./Bomb.ts"))
    }, (child, output) => {
      if (isLit || !isUp(output)) return
      isLit = true
      child.kill("SIGHUP")
    })
    search.in(`${bomb}, printed`, output)
    const reports = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"))
    for (const report of reports) search.in(`${bomb}, reported`, report)
    if (code !== 1) search.found.push(`${bomb}: it ended with ${code}`)
    if (reports.length !== 1) search.found.push(`${bomb}: ${reports.length} reports`)
    return search.found
  })

/** A report that is asked for while it runs. */
const reporting: Leaks = Effect.gen(function*() {
  const planted = plant()
  const search = new Search(Object.values(planted))
  const folder = yield* temporaryFolder
  const server = yield* DemoServer.start({
    ...environmentOf(planted),
    ...settings("--report-on-signal", `--report-directory=${folder}`)
  })
  process.kill(server.pid, "SIGUSR2")
  const reports = () => readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"))
  yield* until("the report is written", () => reports().some((report) => report.trimEnd().endsWith("}")))
  for (const report of reports()) search.in("a report that was asked for", report)
  yield* server.stop
  return search.found
})

/** Starts that fail with a message, because a setting is invalid or a part fails. */
const refusing: Leaks = Effect.gen(function*() {
  const planted = plant()
  const search = new Search(Object.values(planted))
  const base = environmentOf(planted)
  for (
    const [what, environment] of Object.entries<Record<string, string>>({
      "a password in a base URL": { STRIPE_BASE_URL: `https://user:${planted.named}@api.example` },
      "a key in place of a base URL": { STRIPE_BASE_URL: planted.key },
      "a key in place of a level": { LOG_LEVEL: planted.key },
      "a bug in our own code": { FLAW: "listen" }
    })
  ) {
    const { code, output } = yield* ending({ ...base, ...environment, ...settings(preload("./Flaw.ts")) })
    search.in(`${what}, printed`, output)
    if (code !== 1 || output === "") search.found.push(`${what}: it ended with ${code}: ${output.slice(0, 200)}`)
  }
  return search.found
})

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "breakwater-crash-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const all = (parts: ReadonlyArray<Leaks>, concurrency: number): Effect.Effect<ReadonlyArray<string>> =>
  Effect.all(parts, { concurrency }).pipe(
    Effect.map((found) => [...new Set(found.flat())]),
    Effect.scoped,
    Effect.orDie
  )

/** Leaks of a running server. */
export const demo = all([serving(false), serving(true)], 1)

/** Leaks of a server that crashes, or does not start. */
export const crash = all([...Object.keys(bombs).map(crashing), reporting, refusing], 2)
