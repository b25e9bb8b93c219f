import * as Operation from "@breakwater/core/client/Operation"
import * as Vendor from "@breakwater/core/client/Vendor"
import * as Credential from "@breakwater/core/credentials/Credential"
import type * as Policy from "@breakwater/core/stack/Policy"
import * as UndiciTransport from "@breakwater/core/transport/UndiciTransport"
import { isVendorError, type VendorError } from "@breakwater/core/VendorError"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Redacted, Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { randomUUID } from "node:crypto"
import { inspect } from "node:util"
import { expect } from "vitest"
import { type Behaviour, listen } from "../../fakes/HostileServer.ts"
import * as Effort from "../../setup/Effort.ts"
import { clockStops, counted, held, noMoreThan } from "../../watches/Held.ts"
import { peakOf } from "../../watches/Memory.ts"
import { within } from "../../watches/Within.ts"
import { bodies } from "./hostile/Bodies.ts"
import { connecting } from "./hostile/Connecting.ts"
import { framing } from "./hostile/Framing.ts"
import { heads } from "./hostile/Heads.ts"
import { hints } from "./hostile/Hints.ts"
import { http2 } from "./hostile/Http2.ts"
import { packedBodies } from "./hostile/Packed.ts"
import { addresses, proxies } from "./hostile/Reach.ts"
import { redirects } from "./hostile/Redirects.ts"
import { reuse } from "./hostile/Reuse.ts"
import { answering, named, type Row, type Section, type World } from "./hostile/Row.ts"
import { slow } from "./hostile/Slow.ts"
import { tls } from "./hostile/Tls.ts"

const allSections: ReadonlyArray<Section> = [
  connecting,
  addresses,
  proxies,
  tls,
  heads,
  framing,
  slow,
  bodies,
  packedBodies,
  redirects,
  hints,
  reuse,
  http2
]

const sections = allSections.map(({ rows, title }): Section => ({ title, rows: Effort.everyNth(3, rows) }))

const Named = Schema.Struct({ name: Schema.String })

const Api = HttpApi.make("acme").add(
  HttpApiGroup.make("items", { topLevel: true }).add(
    HttpApiEndpoint.get("find", "/item", { success: Named }),
    HttpApiEndpoint.head("probe", "/item", { success: HttpApiSchema.NoContent.pipe(HttpApiSchema.status(200)) }),
    HttpApiEndpoint.post("order", "/orders", { payload: Schema.Struct({ amount: Schema.Int }), success: Named })
      .annotate(Operation.Safety, "Keyed"),
    HttpApiEndpoint.post("ship", "/ship", { success: Named }).annotate(Operation.Safety, "Unsafe")
  )
)

/** A header that identifies us to the vendor, and that no other server may see. */
const account = randomUUID()

/** Long limits, so that the row's behaviour ends the call, and a single attempt. */
const patient: Policy.Policy = {
  deadline: "5 seconds",
  attemptTimeout: "5 seconds",
  connectTimeout: "5 seconds",
  maxResponseSize: 64 * 1024,
  retry: false
}

/** An allowance beyond the limit that ends a call, for a busy machine. */
const slackMillis = 3_000

/** The largest growth of memory during a flood or a decompression bomb. */
const maxGrowthBytes = 32 * 1024 * 1024

const transportOf = ({ transport }: Row, world: World) =>
  UndiciTransport.layer({
    loopback: true,
    proxy: false,
    ...(typeof transport === "function" ? transport(world) : transport)
  })

const makeClient = (row: Row, baseUrl: string) =>
  Vendor.make({
    name: "acme",
    api: Api,
    baseUrl: "https://acme.example",
    auth: { _tag: "Bearer" },
    headers: { "x-acme-account": account },
    idempotencyHeader: "Idempotency-Key",
    redirects: row.redirects ?? 0,
    // Each play is a call of its own: the word of the one before must not hold it.
    policy: {
      ...patient,
      rateLimit: false,
      ...(row.limit === undefined ? {} : { [row.limit[0]]: row.limit[1] }),
      ...row.policy
    }
  }).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ ACME_BASE_URL: baseUrl }))))

type Client = Effect.Success<ReturnType<typeof makeClient>>

const calls: Record<NonNullable<Row["call"]>, (client: Client) => Effect.Effect<unknown, VendorError>> = {
  find: (client) => client.find(),
  probe: (client) => Effect.as(client.probe(), { name: "probed" }),
  order: (client) => client.order({ payload: { amount: 7 } }, { idempotencyKey: "order-7" }),
  ship: (client) => client.ship()
}

/** undici releases a connection one turn of the event loop after its response. */
const nextTurn = Effect.callback<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Plays a row. Returns the caller's outcome. */
const play = (row: Row) => {
  const secret = randomUUID()
  return Effect.gen(function*() {
    let isHostile = row.whileIdle === undefined
    const elsewhere = yield* listen(row.elsewhere ?? answering(named("elsewhere")))
    const world = { self: "", other: elsewhere.origin }
    let behaviour: Behaviour = {}
    let hostileRequests = 0
    const server = yield* listen({
      onConnection: (connection, index) => {
        if (isHostile) behaviour.onConnection?.(connection, index)
      },
      onRequest: (connection) => {
        if (!isHostile) return connection.write(named("healthy"))
        hostileRequests++
        behaviour.onRequest?.(connection, hostileRequests - 1)
      },
      onBytes: (connection) => {
        if (isHostile) behaviour.onBytes?.(connection)
      }
    }, row.tls)
    world.self = server.origin
    behaviour = typeof row.server === "function" ? row.server(world) : row.server ?? {}

    const baseUrl = row.at === undefined ? row.goesTo?.(world) ?? server.origin : yield* row.at
    const transport = yield* Layer.build(transportOf(row, world))
    const client = yield* Effect.provideContext(makeClient(row, baseUrl), transport)
    const call = calls[row.call ?? "find"](client)
    if (row.whileIdle !== undefined) {
      yield* call
      yield* nextTurn
      row.whileIdle(server.connections[0]!)
      isHostile = true
    }
    const connectionsBefore = server.connections.length

    const limit = row.limit?.[1] ?? 0
    const timed = within(limit + slackMillis)(Effect.exit(call))
    const from = performance.now()
    const [exit, growth] = yield* row.isLarge === true
      ? peakOf(timed, row.limit === undefined)
      : Effect.map(timed, (exit) => [exit, 0] as const)
    const elapsed = performance.now() - from
    assert.isBelow(growth, maxGrowthBytes, "memory")

    assert.isAtLeast(elapsed, limit - 1, "it was not cut off too soon")
    if (row.at === undefined) {
      const requests = row.requests ?? 1
      yield* server.until(`${requests} requests have arrived`, () => hostileRequests >= requests)
      assert.strictEqual(hostileRequests, requests, "requests")
      assert.strictEqual(
        elsewhere.connections.reduce((sum, { requests }) => sum + requests, 0),
        row.requestsElsewhere ?? 0,
        "requests elsewhere"
      )
    }
    for (const { received } of elsewhere.connections) {
      assert.notInclude(received, secret, "no secret crosses an origin")
      assert.notInclude(received, account, "no header of the vendor's own crosses an origin")
      assert.notInclude(received, "order-7", "no idempotency key crosses an origin")
      assert.notInclude(received, "amount", "no body crosses an origin")
    }

    const connection = row.connection ?? "closed"
    if (connection !== "none") {
      if (connection === "closed") yield* server.untilNoneOpen
      else yield* nextTurn
      const connectionsThen = server.connections.length
      isHostile = false
      // With a key of its own: the vendor may have asked for no further calls with the other.
      const next = client.find(undefined, { key: "next" })
      assert.deepStrictEqual(yield* next, { name: "healthy" }, "the next call has its own answer")
      assert.strictEqual(
        server.connections.length,
        connectionsThen + (connection === "kept" ? 0 : 1),
        `connections afterwards, with ${connectionsBefore} before the call`
      )
    }
    const shown = inspect(exit, { depth: 20, showHidden: true }) + JSON.stringify(exit)
    assert.notInclude(shown, secret, "no secret is shown")
    return exit
  }).pipe(
    Effect.provideService(Credential.Credentials, { read: () => Effect.succeed(Redacted.make(secret)) }),
    Effect.scoped
  )
}

/** The caller's outcome, without the shape of the body, which other tests cover. */
const told = (exit: Exit.Exit<unknown, unknown>): unknown => {
  if (Exit.isSuccess(exit)) return exit.value
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (!isVendorError(failure?.error)) return exit
  return plain(failure.error.reason)
}

const plain = (gets: Row["gets"]): unknown =>
  "_tag" in gets
    ? Object.fromEntries([
      ...Object.entries(gets).filter(([field]) => field !== "sample"),
      ["message", gets.message]
    ])
    : gets

/** The rows played so far, as lines of the table. */
const played = new Map<Row, string>()

describe("a call to a hostile vendor", () => {
  it("has a row for each behaviour, and each only once", () => {
    const names = allSections.flatMap(({ rows }) => rows.map(({ does }) => does))
    assert.isAtLeast(names.length, 60)
    assert.deepStrictEqual(names.filter((name, index) => names.indexOf(name) !== index), [])
  })

  for (const { rows, title } of sections) {
    describe(title, () => {
      it.live.each(rows.map((row) => [row.does, row] as const))("%s", ([, row]) =>
        counted(Effect.gen(function*() {
          const before = yield* held
          const exit = yield* play(row)
          assert.deepStrictEqual(told(exit), plain(row.gets))
          yield* noMoreThan(before)
          played.set(row, line(row, exit))
        })))
    })
  }

  it.live("leaves undici without a timer", () => clockStops)

  it("matches docs/hostile-behaviours.md, which `vitest -u` rewrites", async () => {
    const all = sections.flatMap(({ rows }) => rows)
    assert.deepStrictEqual(all.filter((row) => !played.has(row)).map(({ does }) => does), [], "every row was played")
    // The page has all rows, of which a quick run plays some.
    if (!Effort.isAtLeast("check")) return
    await expect(document()).toMatchFileSnapshot("../../../docs/hostile-behaviours.md")
  })
})

const mayHaveHappened: Record<VendorError["fate"], string> = {
  NotSent: "nothing was sent",
  Rejected: "it was refused",
  Unknown: "perhaps"
}

const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll(/[<>]/g, (sign) => `\\${sign}`)

const line = (row: Row, exit: Exit.Exit<unknown, unknown>): string => {
  const failure = Exit.isFailure(exit) ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
  const error = isVendorError(failure?.error) ? failure.error : undefined
  const gets = error === undefined ? "an answer" : `\`${error.reason._tag}\`: ${cell(error.reason.message)}`
  const happened = error === undefined ? "yes" : mayHaveHappened[error.fate]
  const within = row.limit === undefined ? "at once" : `${row.limit[1]} ms (\`${row.limit[0]}\`)`
  const connection = row.connection ?? "closed"
  return `| ${cell(row.does)} | ${gets} | ${happened} | ${within} | ${connection === "none" ? "–" : connection} |`
}

const document = () =>
  [
    "# Hostile behaviours",
    "",
    "Hostile behaviours of a server, or of anything in its place, and their effect on a call. Written by",
    "[`test/core/transport/Hostile.test.ts`](../test/core/transport/Hostile.test.ts), which plays every row over real",
    "sockets; change the rows there, and run `npx vitest run test/core/transport/Hostile.test.ts -u`.",
    "",
    "*Happened* says whether the request may have had an effect. *Within* names the limit that ended the call, or says that it",
    "ended by itself (at once). *Connection* says whether the connection was kept or closed: after every row the next call",
    "got its own answer, over the same connection or over a new one. After every row no socket, timer, decompressor or fiber",
    "was left over. A flood or a decompression bomb held at most 32 MiB of memory, garbage included.",
    "",
    ...sections.flatMap(({ rows, title }) => [
      `## ${title}`,
      "",
      "| the server | the caller gets | happened | within | connection |",
      "| --- | --- | --- | --- | --- |",
      ...rows.map((row) => played.get(row)!),
      ""
    ])
  ].join("\n")
