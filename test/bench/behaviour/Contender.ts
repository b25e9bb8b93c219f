/** Contenders: Breakwater, the peers as published, and a hand-written loop. */
import { type Policy, RateLimited, type Reason, Stack, Timeout, Unavailable } from "@breakwater/core"
import { AxiosError, type AxiosResponse, create as createAxios } from "axios"
import axiosRetry from "axios-retry"
import * as cockatiel from "cockatiel"
import * as Effect from "effect/Effect"
import { HttpClient, HttpClientRequest, HttpClientResponse } from "effect/http"
import { CircuitBreaker } from "effect/persistence"
import * as Schedule from "effect/Schedule"
import ky from "ky"
import { createRequire } from "node:module"
import pRetry from "p-retry"
import { type Dispatcher, interceptors } from "undici"
import { type Ask, failureOf, VendorFailure } from "./SimulatedVendor.ts"
import { pause } from "./VirtualTime.ts"

/** Makes one call: as many attempts as the policy sees fit. Rejects when the call has failed. */
export type Caller = (ask: Ask) => Promise<void>

export interface Contender {
  readonly name: string
  /** Its settings, and their origin. */
  readonly settings: string
  /** A fresh one, as one process would have it. */
  readonly make: () => Caller
  /** Whether a call can change what the next one does: a breaker, a budget. */
  readonly remembers: boolean
}

/** The attempt timeout of all contenders: ours by policy, the others' by their transport. */
export const attemptMillis = 3_000

const reasonOf = ({ retryAfterSeconds, status }: VendorFailure): Reason => {
  const retryAfterMillis = retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1_000
  if (status === 0) return new Timeout("Headers", attemptMillis)
  return status === 429 ? new RateLimited(429, { retryAfterMillis }) : new Unavailable(status, { retryAfterMillis })
}

/** A stack as one process would have it. */
export const stackCaller = (policy: Policy.Policy = {}, reason = reasonOf): Caller => {
  const stack = Stack.make({ vendor: "acme", operation: "ring", safety: "Idempotent", policy })
  return (ask) => Effect.runPromise(stack.guard(Effect.tryPromise({ try: ask, catch: failureOf }), reason))
}

export const breakwater: Contender = {
  name: "Breakwater",
  settings:
    "`Stack.make` with its defaults: 3 retries, full jitter from 500 ms, budget 10 %, breaker, bulkhead 64 + 64",
  make: () => stackCaller(),
  remembers: true
}

/** Ours without the breaker: what the budget alone holds. */
export const budgetOnly: Contender = {
  name: "Breakwater, no breaker",
  settings: "`breaker: false`, else the defaults",
  make: () => stackCaller({ breaker: false }),
  remembers: true
}

const noRetry: Contender = {
  name: "no retry",
  settings: "one attempt",
  make: () => (ask) => ask(),
  remembers: false
}

export const naive: Contender = {
  name: "naive retry",
  settings: "a loop: 3 retries at once",
  make: () => async (ask) => {
    for (let retries = 3;; retries--) {
      try {
        return await ask()
      } catch (error) {
        if (retries === 0) throw error
      }
    }
  },
  remembers: false
}

export const pRetryDefault: Contender = {
  name: "p-retry",
  settings: "its defaults: 10 retries, 1 s doubling without a cap, no jitter",
  make: () => (ask) => pRetry(ask),
  remembers: false
}

/** The interceptor as published, over a transport that answers as the simulated vendor. */
export const undici: Contender = {
  name: "undici retry",
  settings:
    "`interceptors.retry()` with its defaults: 5 retries, 500 ms doubling to 30 s, no jitter, `Retry-After` up to 30 s; a timeout is not retried",
  make: () => (ask) =>
    new Promise((resolve, reject) => {
      const dispatch: Dispatcher["dispatch"] = (_options, handler) => {
        const controller: Dispatcher.DispatchController = {
          aborted: false,
          paused: false,
          reason: null,
          abort() {},
          pause() {},
          resume() {}
        }
        handler.onRequestStart?.(controller, {})
        const answer = (status: number, headers: Record<string, string>) => {
          try {
            handler.onResponseStart?.(controller, status, headers, "")
            handler.onResponseEnd?.(controller, {})
          } catch (thrown) {
            handler.onResponseError?.(controller, thrown as Error)
          }
        }
        ask().then(() => answer(200, { "content-length": "0" }), (error: unknown) => {
          const { retryAfterSeconds, status } = failureOf(error)
          if (status !== 0) {
            return answer(status, retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) })
          }
          const lost = Object.assign(new Error("no answer in time"), { code: "UND_ERR_HEADERS_TIMEOUT" })
          handler.onResponseError?.(controller, lost)
        })
        return true
      }
      const options: Dispatcher.DispatchOptions = { origin: "http://acme.test", path: "/ring", method: "GET" }
      interceptors.retry()(dispatch)(options, {
        onResponseStart(_controller, status) {
          if (status >= 400) reject(new VendorFailure(status))
        },
        onResponseEnd: () => resolve(),
        onResponseError: (_controller, error) => reject(error)
      })
    }),
  remembers: false
}

export const effectRetry: Contender = {
  name: "Effect retryTransient",
  settings: "`HttpClient.retryTransient`, which has no defaults: 3 times, exponential from 100 ms (our choice)",
  make: () => (ask) => {
    const client = HttpClient.make((request) =>
      Effect.map(Effect.promise(() => responseOf(ask)), (response) => HttpClientResponse.fromWeb(request, response))
    )
    const retrying = HttpClient.retryTransient(HttpClient.filterStatusOk(client), {
      times: 3,
      schedule: Schedule.exponential("100 millis")
    })
    return Effect.runPromise(Effect.asVoid(retrying.execute(HttpClientRequest.get("http://acme.test/ring"))))
  },
  remembers: false
}

/** The vendor's answer as a response; no answer becomes a gateway's error. */
const responseOf = (ask: Ask): Promise<Response> =>
  ask().then(() => new Response(null, { status: 200 }), (error: unknown) => {
    const failure = failureOf(error)
    return new Response(null, {
      status: failure.status === 0 ? 504 : failure.status,
      headers: failure.retryAfterSeconds === undefined ? {} : { "retry-after": String(failure.retryAfterSeconds) }
    })
  })

const nothing = () => undefined

export const kyDefault: Contender = {
  name: "ky",
  settings:
    "its defaults over a `fetch` that answers as the vendor does: 2 retries, 300 ms doubling, no jitter, 10 s in all",
  make: () => (ask) => ky.create({ fetch: () => responseOf(ask) }).get("http://acme.test/ring").then(nothing),
  remembers: false
}

export const axiosRetryDefault: Contender = {
  name: "axios-retry",
  settings: "its defaults over an adapter that answers as the vendor does: 3 retries at once; a timeout is not retried",
  make: () => (ask) => {
    const client = createAxios({
      adapter: async (config) => {
        const response: AxiosResponse = { config, data: "", headers: {}, status: 200, statusText: "" }
        await ask().catch((error: unknown) => {
          const { status } = failureOf(error)
          throw status === 0
            ? new AxiosError("no answer in time", AxiosError.ECONNABORTED, config)
            : new AxiosError(`status ${status}`, AxiosError.ERR_BAD_RESPONSE, config, undefined, {
              ...response,
              status
            })
        })
        return response
      }
    })
    axiosRetry(client)
    return client.get("http://acme.test/ring").then(nothing)
  },
  remembers: false
}

/** It cannot do without sockets, so this is a loop with the pauses of its `calculate-retry-delay`. */
export const gotModel: Contender = {
  name: "got (modelled)",
  settings: "a loop with its defaults: 2 retries after 1 s and 2 s and up to 100 ms more",
  make: () => async (ask) => {
    for (let attempt = 1;; attempt++) {
      try {
        return await ask()
      } catch (error) {
        if (attempt > 2) throw error
        await pause(2 ** (attempt - 1) * 1_000 + Math.random() * 100)
      }
    }
  },
  remembers: false
}

/** Both policies of cockatiel's readme, in its order: the retry around the breaker. */
export const cockatielReadme: Contender = {
  name: "cockatiel",
  settings:
    "its readme: 3 retries, decorrelated jitter from 128 ms, around a breaker that opens for 10 s after 5 failures in a row",
  make() {
    const policy = cockatiel.wrap(
      cockatiel.retry(cockatiel.handleAll, { maxAttempts: 3, backoff: new cockatiel.ExponentialBackoff() }),
      cockatielBreaker()
    )
    return (ask) => policy.execute(() => ask())
  },
  remembers: true
}

export const cockatielBreaker = () =>
  cockatiel.circuitBreaker(cockatiel.handleAll, {
    halfOpenAfter: 10_000,
    breaker: new cockatiel.ConsecutiveBreaker(5)
  })

export const effectBreaker: Contender = {
  name: "Effect CircuitBreaker",
  settings: "`consecutive(5)`, open for 10 s (our choice), one probe",
  make() {
    const breaker = Effect.runSync(
      CircuitBreaker.make({ tripPolicy: CircuitBreaker.consecutive(5), openDuration: "10 seconds" }).pipe(
        Effect.provide(CircuitBreaker.layerStoreMemory()),
        Effect.scoped
      )
    )
    return (ask) =>
      Effect.runPromise(breaker.execute(Effect.tryPromise({ try: ask, catch: failureOf }), { key: "acme" }))
  },
  remembers: true
}

/** The used part of a package without types. */
interface Opossum {
  fire(ask: Ask): Promise<void>
}
const Opossum = createRequire(import.meta.url)("opossum") as new(
  action: (ask: Ask) => Promise<void>,
  options: { readonly timeout: number; readonly capacity?: number }
) => Opossum

export const opossumBreaker = (capacity?: number): Opossum =>
  new Opossum((ask) => ask(), { timeout: attemptMillis, ...(capacity === undefined ? {} : { capacity }) })

export const opossumRetry: Contender = {
  name: "p-retry + opossum",
  settings: "p-retry's defaults around opossum's: opens above 50 % failures in 10 s from the first call on, for 30 s",
  make() {
    const breaker = opossumBreaker()
    return (ask) => pRetry(() => breaker.fire(ask))
  },
  remembers: true
}

export const retriers: ReadonlyArray<Contender> = [
  noRetry,
  naive,
  axiosRetryDefault,
  effectRetry,
  kyDefault,
  gotModel,
  pRetryDefault,
  undici,
  cockatielReadme,
  opossumRetry,
  breakwater
]
