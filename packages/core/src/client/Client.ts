/**
 * The typed client of a contract, with one method per endpoint. Each method returns an Effect that requires no services
 * and fails with an error that the contract declares or with a `VendorError`.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiClient from "effect/http-api/HttpApiClient"
import type * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import type { Simplify } from "effect/Types"
import { Override } from "../credentials/Credential.ts"
import * as IdempotencyKey from "../IdempotencyKey.ts"
import { InvalidRequest } from "../Reason.ts"
import type { Attempt } from "../stack/Leaf.ts"
import * as Policy from "../stack/Policy.ts"
import type { Stack } from "../stack/Stack.ts"
import type { Transport } from "../transport/Transport.ts"
import { VendorError } from "../VendorError.ts"
import type { CachedOperation } from "./CachedOperation.ts"
import * as Authenticated from "./Client/Authenticated.ts"
import * as Conditional from "./Client/Conditional.ts"
import { Request } from "./Client/Request.ts"
import * as Send from "./Client/Send.ts"
import type { Settle, Step } from "./Client/Step.ts"
import type { CompiledOperation, Groups, Input } from "./Contract.ts"
import type { Declaration } from "./Declaration.ts"
import type { InputOf } from "./Operation.ts"
import type { Secrets } from "./Secrets.ts"

/** The options of a single call, besides its input. */
export interface CallOptions {
  /** The partition: credential, tenant, region. It appears in metrics, so it must not be a secret. @default "" */
  readonly key?: string | undefined
  /** For `Keyed` operations: the key of a repeatable call. @default that of `IdempotencyKey`, or a new one */
  readonly idempotencyKey?: string | undefined
}

/** The client of a contract; its methods are grouped like the contract's endpoints. */
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
  ...args: Arguments<InputOf<Endpoint>>
) => Effect.Effect<
  HttpApiClient.SuccessType<Endpoint["~Success"]>,
  HttpApiEndpoint.Errors<Endpoint> | VendorError
>

type Arguments<Request> = keyof Request extends never ? [input?: undefined, options?: CallOptions | undefined]
  : [input: Request, options?: CallOptions | undefined]

type UntypedMethod = (input?: Input, options?: CallOptions) => Effect.Effect<unknown, unknown>

/** Arranges methods in the groups of their contract. */
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

/** The parts that a method needs to make its calls. */
export interface MethodOptions {
  readonly declaration: Declaration<HttpApi.Constraint>
  readonly operation: CompiledOperation
  readonly stack: Stack
  readonly transport: Transport["Service"]
  readonly baseUrl: URL
  readonly own: Policy.Policy
  /** The secrets of its calls, over all operations; `undefined` if requests carry none. */
  readonly secrets: Secrets | undefined
  /** The operation's cache; `undefined` if it has none. */
  readonly cached: CachedOperation | undefined
}

export const makeMethod = (options: MethodOptions): UntypedMethod => {
  const { cached, declaration, operation, secrets, stack } = options
  const authenticated = authenticatedStep(options)
  const conditional = cached === undefined ? authenticated : Conditional.step(cached.options, authenticated)
  const invalid = (reason: InvalidRequest) =>
    Effect.fail(
      new VendorError({ vendor: declaration.name, operation: operation.id, safety: operation.safety, reason })
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
      const asked = operation.check === undefined ? {} : copyOf(input)
      const headers = idempotencyKey === undefined
        ? encoded.headers
        : [...encoded.headers, declaration.idempotencyHeader!, idempotencyKey]
      const call = (step: Step, validator?: string) => {
        const request = new Request(encoded.path, headers, encoded.body, key, asked, validator)
        return stack.call((attempt) => step(request, attempt, into(attempt)), {
          key,
          cost: operation.cost
        })
      }
      // The cache has the answers to the client's own credentials.
      return cached === undefined || (secrets !== undefined && fiber.getRef(Override) !== undefined)
        ? call(authenticated)
        : cached.lookup(fiber, key, encoded, asked, (validator) => call(conditional, validator))
    })
}

/** The parts of an input as they are now: a caller may change its objects while the call runs. */
const copyOf = (input: Input = {}): Input =>
  Object.fromEntries(Object.entries(input).map(([name, part]) => [name, isPlain(part) ? { ...part } : part]))

const isPlain = (part: unknown): part is object =>
  typeof part === "object" && part !== null && Object.getPrototypeOf(part) === Object.prototype

/** The steps of a request, outermost first: authenticated, sent. A conditional one stands before them. */
const authenticatedStep = ({ baseUrl, declaration, operation, own, secrets, transport }: MethodOptions): Step => {
  const { auth, name: vendor } = declaration
  const send = Send.step(transport, baseUrl, declaration, operation, Policy.limits(own))
  return auth === undefined || secrets === undefined
    ? send
    : Authenticated.step({ vendor, operation: operation.id, safety: operation.safety, auth, secrets }, send)
}

/** The end of the steps: hands the meaning of the response to the attempt. */
const into = (attempt: Attempt<unknown, unknown>): Settle => (meaning, response) => {
  if (Exit.isExit(meaning)) attempt.answer(meaning, response?.quota)
  else if (meaning._tag === "Declared") attempt.fail(meaning.reason, response?.quota, Exit.fail(meaning.error))
  else attempt.fail(meaning, response?.quota)
}
