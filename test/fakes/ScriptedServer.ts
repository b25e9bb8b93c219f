/** A plain HTTP server that answers by a script and records every request. */
import { Effect, type Scope } from "effect"
import { createServer } from "node:http"
import * as Watch from "../watches/Watch.ts"
import * as Loopback from "./Loopback.ts"

/** A request, raw. */
export interface Seen {
  readonly method: string
  /** Path and query as they were sent. */
  readonly url: string
  /** Names and values as they were sent, in order. */
  readonly headers: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
  /** The value of a header, by its name in any case; `undefined` when the header is missing. */
  header(name: string): string | undefined
}

export interface Reply {
  /** @default 200 */
  readonly status?: number | undefined
  /** @default none */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** @default empty */
  readonly body?: string | Uint8Array | undefined
}

/** The response to the request with this index, or no response. */
export type Script = (seen: Seen, index: number) => Reply | "reset" | "silence"

export interface ScriptedServer {
  readonly baseUrl: string
  readonly seen: ReadonlyArray<Seen>
  /** Waits until so many requests have come; dies when they do not in time. */
  readonly untilSeen: (count: number) => Effect.Effect<void>
  /** Waits until no connection is open; dies when one stays open. */
  readonly untilNoneOpen: Effect.Effect<void>
}

/** A JSON answer. */
export const json = (body: unknown, status = 200, headers: Reply["headers"] = {}): Reply => ({
  status,
  headers: { "content-type": "application/json", ...headers },
  body: JSON.stringify(body)
})

/** Serves at a free port of this machine until the scope ends. */
export const serve = (script: Script): Effect.Effect<ScriptedServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const seen: Array<Seen> = []
    const { changed, until } = Watch.make()
    const server = createServer((incoming, outgoing) => {
      const chunks: Array<Buffer> = []
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
      incoming.on("end", () => {
        const headers = incoming.rawHeaders.flatMap((name, index): Array<[string, string]> =>
          index % 2 === 0 ? [[name, incoming.rawHeaders[index + 1]!]] : []
        )
        const request: Seen = {
          method: incoming.method ?? "",
          url: incoming.url ?? "",
          headers,
          body: Buffer.concat(chunks).toString("utf8"),
          header: (name) => headers.find(([given]) => given.toLowerCase() === name)?.[1]
        }
        const reply = script(request, seen.push(request) - 1)
        changed()
        if (reply === "reset") outgoing.socket?.resetAndDestroy()
        else if (reply !== "silence") outgoing.writeHead(reply.status ?? 200, reply.headers).end(reply.body ?? "")
      })
    })
    const { open, port } = yield* Loopback.listen(server, changed)
    return {
      baseUrl: `http://127.0.0.1:${port}`,
      seen,
      untilSeen: (count) => until(`there are ${count} requests`, () => seen.length >= count),
      untilNoneOpen: until("no connection is open", () => open() === 0)
    }
  })
