/** Exchanges on a transport: turns them into a recording, and replays a recording. */
import {
  ConnectFailed,
  ConnectionLost,
  InvalidRequest,
  InvalidResponse,
  type Reason,
  ResponseTooLarge,
  Timeout
} from "../../Reason.ts"
import * as Redaction from "../../Redaction.ts"
import * as BasicAuth from "../../transport/BasicAuth.ts"
import * as Charset from "../../transport/Charset.ts"
import { header } from "../../transport/Headers.ts"
import * as Json from "../../transport/Json.ts"
import { type Receiver, type ResponseHeaders, Transport, type TransportRequest } from "../../transport/Transport.ts"
import { isTransportReason } from "../../transport/TransportReason.ts"
import type { Body, Exchange, Failure, Response } from "./Recording.ts"

/** Shorter secrets would be found everywhere by chance. */
const minSecretLength = 8

/**
 * Listens to a transport. A value that is redacted by its name counts as a secret from then on, wherever it appears.
 */
export class Exchanges {
  private readonly secrets: Set<string>
  private readonly shown: ReadonlySet<string>
  private readonly exchanges: Array<{ readonly request: Exchange["request"]; response: Response }> = []

  constructor(secrets: Set<string>, shown: ReadonlySet<string>) {
    this.secrets = secrets
    this.shown = shown
  }

  over(transport: Transport["Service"]): Transport["Service"] {
    return Transport.of({
      ...transport,
      send: (request, receiver) => {
        this.hearHeaders(request.headers)
        const exchange: (typeof this.exchanges)[number] = {
          request: requestOf(request, this.hear, this.shown),
          response: { _tag: "Abandoned" }
        }
        this.exchanges.push(exchange)
        return transport.send(
          request,
          new Listener(receiver, this.hear, this.shown, (response) => {
            exchange.response = response
          })
        )
      }
    })
  }

  recorded(): ReadonlyArray<Exchange> {
    return this.exchanges
  }

  private readonly hear = (secret: string): void => {
    if (secret.length >= minSecretLength) this.secrets.add(secret)
  }

  /** Remembers redacted header values: as a whole, without their scheme, and decoded from basic authentication. */
  private hearHeaders(headers: ReadonlyArray<string>): void {
    for (let i = 0; i + 1 < headers.length; i += 2) {
      const name = headers[i]!.toLowerCase()
      const value = headers[i + 1]!
      if (Redaction.header(name, value, this.shown) !== Redaction.redacted) continue
      this.hear(value)
      const [, rest] = value.split(/ +(.*)/s)
      if (rest !== undefined) this.hear(rest)
      const basic = BasicAuth.decode(value)
      if (basic !== undefined) {
        const { password, user } = basic
        this.hear(password === "" ? user : password)
      }
      if (name === "cookie") { for (const [, one] of value.matchAll(/=([^;]*)/g)) this.hear(one!) }
    }
  }
}

/** Passes everything on, and records the response. */
class Listener implements Receiver {
  private readonly receiver: Receiver
  private readonly hear: Redaction.OnHidden
  private readonly shown: ReadonlySet<string>
  private readonly keep: (response: Response) => void
  private isSent = false
  private status = 0
  private headers: ResponseHeaders = {}

  constructor(
    receiver: Receiver,
    hear: Redaction.OnHidden,
    shown: ReadonlySet<string>,
    keep: (response: Response) => void
  ) {
    this.receiver = receiver
    this.hear = hear
    this.shown = shown
    this.keep = keep
  }
  onSent() {
    this.isSent = true
    this.receiver.onSent()
  }
  onHeaders(status: number, headers: ResponseHeaders) {
    this.status = status
    this.headers = headers
    this.receiver.onHeaders(status, headers)
  }
  onProgress() {
    this.receiver.onProgress()
  }
  onEnd(body: Uint8Array) {
    const cookies = this.headers["set-cookie"] ?? []
    for (const cookie of typeof cookies === "string" ? [cookies] : cookies) {
      this.hear(/=([^;]*)/.exec(cookie)?.[1] ?? "")
    }
    this.keep({
      _tag: "Answer",
      status: this.status,
      headers: sorted(Redaction.headers(this.headers, this.shown)),
      body: bodyOf(body, header(this.headers, "content-type"), this.hear)
    })
    this.receiver.onEnd(body)
  }
  onError(reason: Reason) {
    this.keep({ _tag: "Failure", isSent: this.isSent, reason: toFailure(reason) })
    this.receiver.onError(reason)
  }
}

/** A request without its secrets. */
export const requestOf = (
  { body, headers, method, origin, path }: TransportRequest,
  hear?: Redaction.OnHidden,
  shown?: ReadonlySet<string>
): Exchange["request"] => {
  const named: Record<string, string> = {}
  for (let i = 0; i + 1 < headers.length; i += 2) named[headers[i]!.toLowerCase()] = headers[i + 1]!
  return {
    method,
    origin: Redaction.url(origin),
    path: Redaction.url(path, hear),
    headers: sorted(Redaction.headers(named, shown)),
    body: body === undefined ? null : bodyOf(Buffer.from(body), named["content-type"], hear)
  }
}

const sorted = (headers: ReturnType<typeof Redaction.headers>): ReturnType<typeof Redaction.headers> =>
  Object.fromEntries(Object.entries(headers).toSorted(([a], [b]) => a < b ? -1 : 1))

const bodyOf = (bytes: Uint8Array, contentType = "", hear?: Redaction.OnHidden): Body => {
  if (bytes.byteLength === 0) return null
  const text = Charset.strictText(bytes)
  if (text === undefined) return { bytes: Buffer.from(bytes).toString("base64") }
  if (/^application\/x-www-form-urlencoded/i.test(contentType)) return { form: Redaction.form(text, hear) }
  const json = Json.parse(bytes)
  if (json === undefined) return { text: Redaction.text(text) }
  // A round trip through JSON, so a comparison sees the same values that a file would give back.
  return { json: JSON.parse(JSON.stringify(Redaction.json(json, hear))) as unknown }
}

/** Whether a request matches the recorded one: headers and origin may differ. */
export const isSame = (recorded: Exchange["request"], asked: Exchange["request"]): boolean =>
  recorded.method === asked.method && recorded.path === asked.path &&
  canonical(recorded.body) === canonical(asked.body)

/** JSON with the keys of every object in order. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    inner === null || typeof inner !== "object" || Array.isArray(inner)
      ? inner
      : Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => a < b ? -1 : 1)))

// -------------------------------------------------------------------------------------------------------------- replay

/** Replays an exchange to its receiver, which is not called before this function has returned. */
export const play = ({ response }: Exchange, receiver: Receiver): () => void => {
  switch (response._tag) {
    case "Abandoned":
      return later([() => receiver.onSent()])
    case "Failure":
      return response.isSent
        ? later([() => receiver.onSent(), () => receiver.onError(toReason(response.reason))])
        : fail(receiver, toReason(response.reason))
    case "Answer":
      return later([
        () => receiver.onSent(),
        () => receiver.onHeaders(response.status, response.headers),
        () => receiver.onProgress(),
        () => receiver.onEnd(bytesOf(response.body))
      ])
  }
}

export const fail = (receiver: Receiver, reason: Reason): () => void => later([() => receiver.onError(reason)])

/** Runs the steps one after the other, until it is cancelled. */
const later = (steps: ReadonlyArray<() => void>): () => void => {
  let isCancelled = false
  queueMicrotask(() => {
    for (const step of steps) {
      if (!isCancelled) step()
    }
  })
  return () => {
    isCancelled = true
  }
}

const bytesOf = (body: Body): Uint8Array => {
  if (body === null) return new Uint8Array()
  if ("json" in body) return Buffer.from(JSON.stringify(body.json))
  if ("bytes" in body) return Buffer.from(body.bytes, "base64")
  return Buffer.from("form" in body ? body.form : body.text)
}

/** A reason in its recorded form. One that no transport gives counts as a lost connection. */
const toFailure = (reason: Reason): Failure => {
  if (!isTransportReason(reason)) return { _tag: "ConnectionLost", phase: "Headers" }
  switch (reason._tag) {
    case "Timeout":
      return { _tag: "Timeout", phase: reason.phase, limitMillis: reason.limitMillis }
    case "ConnectFailed":
      return { _tag: "ConnectFailed", failure: reason.failure }
    case "InvalidRequest":
      return { _tag: "InvalidRequest", issue: Redaction.text(reason.issue) }
    case "InvalidResponse":
      return { _tag: "InvalidResponse", status: reason.status ?? null, issue: Redaction.text(reason.issue) }
    case "ResponseTooLarge":
      return { _tag: "ResponseTooLarge", limitBytes: reason.limitBytes }
    case "ConnectionLost":
      return { _tag: "ConnectionLost", phase: reason.phase }
  }
}

const toReason = (failure: Failure): Reason => {
  switch (failure._tag) {
    case "Timeout":
      return new Timeout(failure.phase, failure.limitMillis)
    case "ConnectFailed":
      return new ConnectFailed(failure.failure)
    case "ConnectionLost":
      return new ConnectionLost(failure.phase)
    case "InvalidRequest":
      return new InvalidRequest(failure.issue)
    case "InvalidResponse":
      return new InvalidResponse(failure.status ?? undefined, failure.issue)
    case "ResponseTooLarge":
      return new ResponseTooLarge(failure.limitBytes)
  }
}
