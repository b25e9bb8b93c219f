/** A minimal client: one request over its own connection, with its progress. */
import { Effect, type Scope } from "effect"
import { type IncomingHttpHeaders, request } from "node:http"
import * as Watch from "../../watches/Watch.ts"

export interface Asked {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  /** The part of the body received so far. */
  readonly body: string
  /** `answered` for a complete response, or the code of the error that ended it; `undefined` before. */
  readonly end: string | undefined
  readonly until: Watch.Watch["until"]
  /** Waits for the end, success or failure. */
  readonly ended: Effect.Effect<void>
}

export interface Question {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
}

/** Sends a request; the end of the scope cancels it. */
export const ask = (url: string, question: Question = {}): Effect.Effect<Asked, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const { changed, until } = Watch.make()
        const asked: { -readonly [Field in keyof Asked]: Asked[Field] } = {
          status: undefined,
          headers: {},
          body: "",
          end: undefined,
          until,
          ended: until("the answer has ended", () => asked.end !== undefined)
        }
        const end = (how: string) => {
          asked.end ??= how
          changed()
        }
        const outgoing = request(url, { agent: false, method: question.method ?? "GET", headers: question.headers })
        outgoing.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
        outgoing.on("response", (incoming) => {
          asked.status = incoming.statusCode
          asked.headers = incoming.headers
          changed()
          incoming.setEncoding("utf8")
          incoming.on("data", (chunk: string) => {
            asked.body += chunk
            changed()
          })
          incoming.on("end", () => end("answered"))
          incoming.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
        })
        outgoing.end(question.body)
        return { asked, outgoing }
      }),
      ({ outgoing }) => Effect.sync(() => outgoing.destroy())
    ),
    ({ asked }) => asked
  )

/** Sends a request, and waits for its end. */
export const answerTo = (url: string, question?: Question): Effect.Effect<Asked> =>
  Effect.scoped(Effect.tap(ask(url, question), (asked) => asked.ended))
