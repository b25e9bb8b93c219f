/** Start times: imports, sizes, and the demo's first answer. */
import { execFile, spawn } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { gzipSync } from "node:zlib"
import { rolldown } from "rolldown"
import { quantile } from "../compare.ts"
import { amount } from "../report.ts"
import type { Row, Suite } from "../Suite.ts"

export const suite: Suite = {
  title: "Start: until something can be done",
  about:
    "Imports are of the published packages, installed beside their dependencies, each in a fresh process, one after the other in turns. " +
    "The figure is the main thread's CPU, of the fastest of three processes in a round. " +
    "Sizes are of a program that uses one thing, bundled and minified by rolldown. " +
    "The demo server is started by `npm start`, and called until it answers.",
  run: async ({ quick }) => {
    const installed = mkdtempSync(join(tmpdir(), "breakwater-bench-"))
    const sizes = new Map<string, Size>()
    let measured: Measured
    try {
      await run(process.execPath, [installer, installed])
      measured = await imports(quick ? 2 : 7, installed)
      for (const { name, source } of programs) sizes.set(name, await sizeOf(source, installed))
    } finally {
      rmSync(installed, { recursive: true, force: true })
    }
    const rows = [...measured.rows]
    for (const [ours, peer] of [[guardedByUs, guardedByParts], [ourClient, effectsClient]] as const) {
      const [{ gzip }, other] = [sizes.get(ours)!, sizes.get(peer)!]
      rows.push({
        name: `size of ${ours} / ${peer}`,
        unit: "bytes, gzip",
        ours: gzip,
        peer: other.gzip,
        ratio: gzip / other.gzip
      })
    }
    const starts = new Array<number>()
    for (let start = 0; start < (quick ? 1 : 5); start++) starts.push(await untilFirstAnswer())
    return {
      rows,
      notes: [
        `For scale, imports in ms CPU: ${
          measured.others.map(([name, millis]) => `${name} ${amount(millis)}`).join(", ")
        }.`,
        `Minified (gzip): ${
          Array.from(sizes, ([name, { gzip, minified }]) => `${name} ${kilobytes(minified)} (${kilobytes(gzip)})`)
            .join(", ")
        }. Code of \`node:\` and undici is not included.`,
        `From \`npm start\` to the first answer: median ${Math.round(quantile(starts, 0.5))} ms, slowest ${
          Math.round(Math.max(...starts))
        } ms (${starts.length} starts, wall clock, TypeScript as it is in the repository).`
      ]
    }
  }
}

const run = promisify(execFile)
const root = fileURLToPath(new URL("../../..", import.meta.url))
const importOf = fileURLToPath(new URL("../start/importOf.mjs", import.meta.url))
const installer = fileURLToPath(new URL("../../../scripts/installed.ts", import.meta.url))

const effect = ["effect/Effect"]
/** Modules of Effect and undici that every client of an `HttpApi` needs. */
const contractAndSocket = [
  "effect/Effect",
  "effect/Layer",
  "effect/Schema",
  "effect/http-api/HttpApi",
  "effect/http-api/HttpApiEndpoint",
  "effect/http-api/HttpApiGroup",
  "undici"
]

interface Imported {
  readonly name: string
  readonly modules: ReadonlyArray<string>
  readonly peer: ReadonlyArray<string>
  readonly bar?: number | undefined
}

const imported: ReadonlyArray<Imported> = [
  {
    name: "core alone, the stack and its policies (`/guard`) / effect/Effect",
    modules: ["@breakwater/core/guard"],
    peer: effect,
    bar: 1.4
  },
  {
    name: "one vendor's client with its transport / Effect's modules for its contract and undici",
    modules: ["@breakwater/vendors/payments/stripe", "@breakwater/core/transport"],
    peer: contractAndSocket,
    bar: 1.3
  },
  {
    name: "everything of `@breakwater/core` but the socket / effect/Effect",
    modules: ["@breakwater/core"],
    peer: effect
  }
]
const forScale = ["effect", "effect/persistence/CircuitBreaker", "effect/http-api/HttpApiClient", "undici", "cockatiel"]

/** Processes of a round, of which the fastest counts: other work on the machine only slows the rest down. */
const processes = 3

const importMillis = async (modules: ReadonlyArray<string>, script: string): Promise<number> => {
  let fastest = Infinity
  for (let started = 0; started < processes; started++) {
    const { stdout } = await run(process.execPath, [script, ...modules])
    fastest = Math.min(fastest, Number(stdout))
  }
  return fastest
}

interface Measured {
  readonly rows: ReadonlyArray<Row>
  readonly others: ReadonlyArray<readonly [name: string, millis: number]>
}

const imports = async (rounds: number, installed: string): Promise<Measured> => {
  // A module is resolved from the place of the script that imports it.
  const script = join(installed, "importOf.mjs")
  copyFileSync(importOf, script)
  const subjects = [
    { modules: effect, script },
    { modules: contractAndSocket, script },
    ...imported.map(({ modules }) => ({ modules, script })),
    ...forScale.map((module) => ({ modules: [module], script: importOf }))
  ]
  const millis = subjects.map(() => new Array<number>())
  for (let round = 0; round <= rounds; round++) {
    for (let place = 0; place < subjects.length; place++) {
      const index = round % 2 === 0 ? place : subjects.length - 1 - place
      const { modules, script } = subjects[index]!
      const fastest = await importMillis(modules, script)
      // The first round fills the caches of the file system.
      if (round > 0) millis[index]!.push(fastest)
    }
  }
  const rows = imported.map(({ bar, name, peer }, index): Row => {
    const [ours, theirs] = [millis[index + 2]!, millis[peer === effect ? 0 : 1]!]
    const ratios = ours.map((value, round) => value / theirs[round]!)
    return {
      name: `import of ${name}`,
      unit: "ms CPU",
      ours: quantile(ours, 0.5),
      peer: quantile(theirs, 0.5),
      ratio: quantile(ratios, 0.5),
      spread: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
      bar
    }
  })
  const others = forScale.map((name, i) => [name, quantile(millis[2 + imported.length + i]!, 0.5)] as const)
  return { rows, others }
}

const guardedByUs = "a guarded effect"
const guardedByParts = "the same of Effect's parts"
const ourClient = "a client of one vendor"
const effectsClient = "Effect's HttpApiClient over undici"

const contract = `
  import * as Effect from "effect/Effect"
  import * as HttpApi from "effect/http-api/HttpApi"
  import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
  import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
  import * as Layer from "effect/Layer"
  import * as Schema from "effect/Schema"
  const api = HttpApi.make("acme").add(
    HttpApiGroup.make("bell").add(HttpApiEndpoint.get("ring", "/ring", { success: Schema.String }))
  )`

const programs: ReadonlyArray<{ readonly name: string; readonly source: string }> = [
  {
    name: "an effect that runs",
    source: `
      import * as Effect from "effect/Effect"
      Effect.runPromise(Effect.succeed(1)).then(console.log)`
  },
  {
    name: guardedByUs,
    source: `
      import { Stack } from "@breakwater/core/guard"
      import * as Effect from "effect/Effect"
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent" })
      Effect.runPromise(stack.guard(Effect.succeed(1), () => undefined)).then(console.log)`
  },
  {
    name: "the same imported from the barrel",
    source: `
      import { Stack } from "@breakwater/core"
      import * as Effect from "effect/Effect"
      const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent" })
      Effect.runPromise(stack.guard(Effect.succeed(1), () => undefined)).then(console.log)`
  },
  {
    name: guardedByParts,
    source: `
      import * as EffectParts from "./guard/effectParts.ts"
      import * as Effect from "effect/Effect"
      Effect.runPromise(Effect.flatMap(EffectParts.make, ({ whole }) => whole(Effect.succeed(1)))).then(console.log)`
  },
  {
    name: ourClient,
    source: `${contract}
      import { UndiciTransport } from "@breakwater/core/transport"
      import { Vendor } from "@breakwater/core"
      class Acme extends Vendor.Service()({ name: "acme", api, baseUrl: "https://api.acme.test" }) {}
      const ring = Effect.flatMap(Acme, ({ bell }) => bell.ring())
      Effect.runPromise(Effect.provide(ring, Layer.provide(Acme.layer, UndiciTransport.layer()))).then(console.log)`
  },
  {
    name: effectsClient,
    source: `${contract}
      import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
      import * as HttpApiClient from "effect/http-api/HttpApiClient"
      const ring = Effect.flatMap(HttpApiClient.make(api, { baseUrl: "https://api.acme.test" }), ({ bell }) => bell.ring())
      Effect.runPromise(Effect.provide(ring, NodeHttpClient.layerUndici)).then(console.log)`
  }
]

interface Size {
  readonly minified: number
  readonly gzip: number
}

const bench = fileURLToPath(new URL("..", import.meta.url))

/** The size of a program that stands in the bench's folder, with our packages as they are published. */
const sizeOf = async (source: string, installed: string): Promise<Size> => {
  const entry = `${bench}program.js`
  const bundle = await rolldown({
    input: entry,
    cwd: bench,
    platform: "node",
    treeshake: true,
    external: [/^node:/, /^undici$/],
    plugins: [{
      name: "program",
      resolveId(id) {
        if (id === entry) return id
        return id.startsWith("@breakwater/") ? this.resolve(id, join(installed, "program.js")) : undefined
      },
      load: (id) => id === entry ? source : undefined
    }]
  })
  const { output } = await bundle.generate({ minify: true, format: "esm" })
  await bundle.close()
  const code = output.map((chunk) => chunk.type === "chunk" ? chunk.code : "").join("")
  return { minified: Buffer.byteLength(code), gzip: gzipSync(code).length }
}

const kilobytes = (bytes: number): string => `${Math.round(bytes / 1_024)} KB`

/** Starts the demo server as in its readme, and waits for its first answer; milliseconds. */
const untilFirstAnswer = async (): Promise<number> => {
  const began = performance.now()
  const server = spawn("npm", ["start"], {
    cwd: root,
    env: { ...process.env, PORT: "0", SIMULATORS_PORT: "0", NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  try {
    const port = await new Promise<string>((resolve, reject) => {
      let output = ""
      const read = (chunk: Buffer) => {
        output += chunk.toString()
        const port = /Listening on http:\/\/localhost:(\d+)/.exec(output)?.[1]
        if (port !== undefined) resolve(port)
      }
      server.stdout.on("data", read)
      server.stderr.on("data", read)
      server.once("exit", () => reject(new Error(`the demo server did not start:\n${output}`)))
    })
    const answer = await fetch(`http://127.0.0.1:${port}/live`)
    await answer.arrayBuffer()
    return performance.now() - began
  } finally {
    // npm and its children are a process group of their own.
    const ended = new Promise((resolve) => server.once("close", resolve))
    process.kill(-server.pid!, "SIGTERM")
    await ended
  }
}
