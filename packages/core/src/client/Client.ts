/**
 * The typed client of a contract: one method an endpoint, each an Effect that fails with what the contract declares or
 * with a `VendorError`, and needs nothing.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type { Simplify } from "effect/Types"
import type { Refusals } from "../credentials/Refusals.ts"
import * as IdempotencyKey from "../IdempotencyKey.ts"
import { InvalidRequest, type Reason } from "../Reason.ts"
import type { Attempt, Leaf } from "../stack/Leaf.ts"
import * as Policy from "../stack/Policy.ts"
import type { Stack } from "../stack/Stack.ts"
import type { Receiver, ResponseHeaders, Transport } from "../transport/Transport.ts"
import { VendorError } from "../VendorError.ts"
import { type Answer, quotaOf, retryAfterMillis } from "./Answer.ts"
import { authHeader, Authorized, type Meaning, type Send } from "./Client/Authorized.ts"
import type { Cached, Keeping } from "./Client/Cached.ts"
import type { CompiledOperation, Encoded, Groups, Input } from "./Contract.ts"
import type { Declaration } from "./Declaration.ts"

/** What a single call may say, besides its input. */
export interface CallOptions {
  /** The partition: credential, tenant, region. It is a name, and shown in metrics: never a secret. @default "" */
  readonly key?: string | undefined
  /** For `Keyed` operations: the key of a call that may be made again. @default that of `IdempotencyKey`, or a new one */
  readonly idempotencyKey?: string | undefined
}

/** The client of a contract, in the contract's own groups. */
export type Client<Api> = Simplify<
  & {
    readonly [
      Group in Extract<Groups<Api>, { readonly topLevel: false }> as HttpApiGroup.Identifier<Group>
    ]: MethodsOf<HttpApiGroup.Endpoints<Group>>
  }
  & MethodsOf<HttpApiGroup.Endpoints<Extract<Groups<Api>, { readonly topLevel: true }>>>
>

type MethodsOf<Endpoints> = {
  readonly [
    Endpoint in Extract<Endpoints, HttpApiEndpoint.ConstraintRequest> as HttpApiEndpoint.Identifier<Endpoint>
  ]: Method<Endpoint>
}

/** One operation. */
export type Method<Endpoint extends HttpApiEndpoint.ConstraintRequest> = (
  ...args: Arguments<
    Simplify<
      & Part<"params", Endpoint["~Params"]["Type"]>
      & Part<"query", Endpoint["~Query"]["Type"]>
      & Part<"headers", Endpoint["~Headers"]["Type"]>
      & Part<"payload", Endpoint["~Payload"]["Type"]>
    >
  >
) => Effect.Effect<
  HttpApiClient.SuccessType<Endpoint["~Success"]>,
  Endpoint["~Error"]["Type"] | VendorError
>

type Part<Name extends string, Value> = [Value] extends [never] ? {} : { readonly [K in Name]: Value }

type Arguments<Request> = keyof Request extends never ? [input?: undefined, options?: CallOptions | undefined]
  : [input: Request, options?: CallOptions | undefined]

type UntypedMethod = (input?: Input, options?: CallOptions) => Effect.Effect<unknown, unknown>

/** Puts methods into the shape of their contract. */
export const assemble = <Api>(
  methods: ReadonlyArray<{ readonly operation: CompiledOperation; readonly call: UntypedMethod }>
): Client<Api> => {
  const client: Record<string, unknown> = {}
  for (const { call, operation } of methods) {
    const group = operation.isTopLevel
      ? client
      : (client[operation.group] ??= {}) as Record<string, unknown>
    group[operation.name] = call
  }
  return client as Client<Api>
}

/** What a method needs to make its calls. */
export interface MethodOptions {
  readonly declaration: Declaration<HttpApi.Constraint>
  readonly operation: CompiledOperation
  readonly stack: Stack
  readonly transport: Transport["Service"]
  readonly baseUrl: URL
  readonly own: Policy.Policy
  /** The secrets the vendor has refused, over all its operations. */
  readonly refusals: Refusals
  /** What remembers its answers; `undefined` when nothing does. */
  readonly cached: Cached | undefined
}

export const makeMethod = (options: MethodOptions): UntypedMethod => {
  const endpoint = new Endpoint(options)
  const { cached, operation, stack } = options
  const invalid = (reason: InvalidRequest) =>
    Effect.fail(
      new VendorError({ vendor: options.declaration.name, operation: operation.id, safety: operation.safety, reason })
    )
  return (input, callOptions) =>
    Effect.withFiber((fiber) => {
      const encoded = operation.encode(input)
      if (encoded._tag === "InvalidRequest") return invalid(encoded)
      const idempotencyKey = operation.safety !== "Keyed"
        ? undefined
        : callOptions?.idempotencyKey ?? fiber.getRef(IdempotencyKey.IdempotencyKey) ?? IdempotencyKey.make()
      if (idempotencyKey !== undefined && !IdempotencyKey.isKey(idempotencyKey)) {
        return invalid(new InvalidRequest("an idempotency key is 1 to 255 visible ASCII characters"))
      }
      const key = callOptions?.key ?? ""
      const call = (keeping?: Keeping) =>
        stack.call(endpoint.leaf(encoded, idempotencyKey, key, keeping), { key, cost: operation.cost })
      return cached === undefined ? call() : cached.lookup(fiber, key, encoded, call)
    })
}

const defaultUserAgent = "breakwater/0.1"

type Settle = Parameters<Send>[1]

/** Turns encoded input into requests of one operation, and their answers into what the contract says. */
class Endpoint {
  readonly declaration: Declaration<HttpApi.Constraint>
  readonly operation: CompiledOperation
  private readonly transport: Transport["Service"]
  private readonly origin: string
  private readonly basePath: string
  private readonly connectTimeoutMillis: number
  private readonly maxBodyBytes: number
  private readonly fixedHeaders: ReadonlyArray<string>
  private readonly refusals: Refusals

  constructor({ baseUrl, declaration, operation, own, refusals, transport }: MethodOptions) {
    const limits = Policy.limits(own)
    this.declaration = declaration
    this.operation = operation
    this.transport = transport
    this.refusals = refusals
    this.origin = baseUrl.origin
    this.basePath = baseUrl.pathname.replace(/\/+$/, "")
    this.connectTimeoutMillis = limits.connectMillis
    this.maxBodyBytes = limits.maxResponseBytes
    this.fixedHeaders = [
      "user-agent",
      declaration.userAgent ?? defaultUserAgent,
      "accept",
      "application/json",
      ...(declaration.version === undefined ? [] : [declaration.version.header, declaration.version.value]),
      ...Object.entries(declaration.headers ?? {}).flat()
    ]
  }

  /** The attempts of one call. The secret is asked for by each, and held by none. */
  leaf(
    encoded: Encoded,
    idempotencyKey: string | undefined,
    key: string,
    keeping: Keeping | undefined
  ): Leaf<unknown, unknown> {
    const { auth, idempotencyHeader, name } = this.declaration
    const headers = [
      ...encoded.headers,
      ...(idempotencyKey === undefined ? [] : [idempotencyHeader!, idempotencyKey]),
      ...(keeping === undefined ? [] : keeping.headers)
    ]
    if (auth === undefined) {
      return (attempt) =>
        this.send(attempt, encoded, headers, keeping, (meaning, quota) => {
          if (Exit.isExit(meaning)) attempt.answer(meaning, quota)
          else attempt.fail(meaning, quota)
        })
    }
    return (attempt) =>
      new Authorized(
        attempt,
        { vendor: name, key },
        this.refusals,
        (secret, settle) => this.send(attempt, encoded, [...headers, ...authHeader(auth, secret)], keeping, settle)
      ).begin()
  }

  private send(
    attempt: Attempt<unknown, unknown>,
    encoded: Encoded,
    headers: ReadonlyArray<string>,
    keeping: Keeping | undefined,
    settle: Settle
  ): () => void {
    return this.transport.send(
      {
        method: this.operation.method,
        origin: this.origin,
        path: this.basePath + encoded.path,
        headers: [...this.fixedHeaders, ...headers],
        body: encoded.body,
        connectTimeoutMillis: this.connectTimeoutMillis,
        maxBodyBytes: this.maxBodyBytes,
        maxRedirects: this.declaration.redirects ?? 0
      },
      new Exchange(this, attempt, keeping, settle)
    )
  }
}

/** Reads one answer off the transport. */
class Exchange implements Receiver {
  private readonly endpoint: Endpoint
  private readonly attempt: Attempt<unknown, unknown>
  private status = 0
  private readonly keeping: Keeping | undefined
  private readonly settle: Settle
  private headers: ResponseHeaders = {}

  constructor(
    endpoint: Endpoint,
    attempt: Attempt<unknown, unknown>,
    keeping: Keeping | undefined,
    settle: Settle
  ) {
    this.endpoint = endpoint
    this.attempt = attempt
    this.keeping = keeping
    this.settle = settle
  }
  onSent() {
    this.attempt.phase("Headers")
  }
  onHeaders(status: number, headers: ResponseHeaders) {
    this.status = this.attempt.status = status
    this.headers = headers
    this.attempt.phase("Body")
  }
  onProgress() {
    this.attempt.progress()
  }
  onError(reason: Reason) {
    this.attempt.fail(reason)
  }
  onEnd(body: Uint8Array) {
    const wallClock = Context.get(this.attempt.context, Clock.Clock).currentTimeMillisUnsafe()
    const answer = new HttpAnswer(this.status, this.headers, body, wallClock)
    this.settle(this.meaning(answer, body, wallClock), quotaOf(this.headers, wallClock))
  }
  private meaning(answer: Answer, body: Uint8Array, wallClock: number): Meaning {
    const { endpoint: { declaration, operation }, headers, keeping, status } = this
    const meaning = () => declaration.classify?.(answer, operation) ?? operation.decode(answer, body)
    try {
      return keeping === undefined ? meaning() : keeping.loaded(meaning, status, headers, body, wallClock)
    } catch (defect) {
      // What throws here is a defect of the declaration; nobody may wait for it for ever.
      return Exit.die(defect)
    }
  }
}

class HttpAnswer implements Answer {
  readonly status: number
  readonly headers: ResponseHeaders
  readonly retryAfterMillis: number | undefined
  private readonly body: Uint8Array
  private parsed: unknown
  private isParsed = false

  constructor(status: number, headers: ResponseHeaders, body: Uint8Array, wallClockMillis: number) {
    this.status = status
    this.headers = headers
    this.body = body
    this.retryAfterMillis = retryAfterMillis(headers, wallClockMillis)
  }
  get json(): unknown {
    if (!this.isParsed) {
      this.isParsed = true
      this.parsed = parseJson(this.body)
    }
    return this.parsed
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

const parseJson = (body: Uint8Array): unknown => {
  try {
    return JSON.parse(utf8.decode(body))
  } catch {
    return undefined
  }
}
