/** A client of no cleverness: one request over a connection of its own, and what came of it as it comes. */
import { Effect, type Scope } from "effect"
import { type IncomingHttpHeaders, request } from "node:http"
import * as Watch from "../../watches/Watch.ts"

export interface Asked {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  /** What has come of the body. */
  readonly body: string
  /** `answered` when the answer was whole, or the code of what cut it short; `undefined` before either. */
  readonly end: string | undefined
  readonly until: Watch.Watch["until"]
  /** Waits for the end, whichever it is. */
  readonly ended: Effect.Effect<void>
}

export interface Question {
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly body?: string | undefined
}

/** Sends a request; it is given up when the scope ends. */
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
