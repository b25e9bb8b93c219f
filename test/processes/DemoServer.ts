/** The demo server as a user starts it: its own process, on free ports, stopped by a signal. */
import { Data, Effect } from "effect"
import type { Scope } from "effect"
import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process"
import type { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import { patience } from "../watches/Patience.ts"
import * as CompileCache from "./CompileCache.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))

class DidNotStart extends Data.TaggedError("DidNotStart")<{ readonly output: string }> {}

export interface DemoServer {
  readonly url: string
  readonly control: string
  readonly pid: number
  /** The output so far. */
  readonly output: () => string
  /** Sends SIGTERM and waits for the end; the exit code. */
  readonly stop: Effect.Effect<number | null>
}

/** Starts the server and waits until both its ports listen. */
export const start = (
  environment: Record<string, string> = {}
): Effect.Effect<DemoServer, DidNotStart, Scope.Scope> =>
  Effect.gen(function*() {
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["apps/demo-server/src/main.ts"], {
          cwd: root,
          env: {
            PATH: process.env["PATH"],
            PORT: "0",
            SIMULATORS_PORT: "0",
            NO_COLOR: "1",
            ...CompileCache.environment,
            ...environment
          },
          stdio: ["ignore", "pipe", "pipe"]
        })
      ),
      (child) => ended(child, () => child.kill("SIGKILL"))
    )
    let output = ""
    child.stdout.on("data", (chunk) => output += String(chunk))
    child.stderr.on("data", (chunk) => output += String(chunk))
    const { control, url } = yield* addresses(child)
    return {
      url,
      control,
      pid: child.pid!,
      output: () => output,
      stop: ended(child, () => child.kill("SIGTERM"))
    }
  })

/** Waits until a process says that both ports of a server listen. */
export const addresses = (
  child: ChildProcessByStdio<null, Readable, Readable>
): Effect.Effect<Pick<DemoServer, "url" | "control">, DidNotStart> => {
  let output = ""
  return Effect.callback<Pick<DemoServer, "url" | "control">, DidNotStart>((resume) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString()
      const main = /Listening on http:\/\/localhost:(\d+)/.exec(output)?.[1]
      const control = /Listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1]
      if (main !== undefined && control !== undefined) {
        resume(Effect.succeed({ url: `http://127.0.0.1:${main}`, control: `http://127.0.0.1:${control}` }))
      }
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("exit", () => resume(Effect.suspend(() => Effect.fail(new DidNotStart({ output })))))
  }).pipe(
    Effect.timeoutOrElse({
      duration: patience,
      orElse: () => Effect.suspend(() => Effect.fail(new DidNotStart({ output })))
    })
  )
}

const ended = (child: ChildProcess, signal: () => void): Effect.Effect<number | null> =>
  Effect.callback((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.succeed(child.exitCode))
    child.once("exit", (code) => resume(Effect.succeed(code)))
    signal()
  })

/** The response to a request. */
/** The provenance of an answer, as the server writes it. */
export interface Provenance {
  readonly kind: string
  readonly source: string
  readonly age?: number
  readonly warning?: string
  readonly because?: string
}

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: unknown
}

/** Makes a request; a body is sent as JSON. */
export const request = (
  method: string,
  url: string,
  options: { readonly body?: unknown; readonly headers?: Record<string, string> } = {}
): Effect.Effect<Reply> =>
  Effect.promise(async (signal) => {
    const response = await fetch(url, {
      method,
      signal,
      headers: { ...(options.body === undefined ? {} : { "content-type": "application/json" }), ...options.headers },
      body: options.body === undefined ? null : JSON.stringify(options.body)
    })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.startsWith("application/json") === true
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text !== "" ? JSON.parse(text) as unknown : undefined
    }
  })
