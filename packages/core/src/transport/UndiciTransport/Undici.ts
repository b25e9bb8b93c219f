/**
 * The parts of undici that the transport uses, imported one by one. Importing undici itself replaces the dispatcher of
 * the process's own `fetch` (`lib/global.js`): on Node 22 that fetch would lose its proxy and refuse a `content-length`
 * of its caller (nodejs/undici#4960, #5500). Its version is exact, because these paths are not part of its interface.
 */
// Programs that type-check the sources from elsewhere do not see the file otherwise.
// oxlint-disable-next-line typescript/triple-slash-reference
/// <reference path="./undici.d.ts" />
import type {
  Agent as UndiciAgent,
  buildConnector as build,
  Client,
  errors as undiciErrors,
  Pool as UndiciPool
} from "undici"
import connect from "undici/lib/core/connect.js"
import coreErrors from "undici/lib/core/errors.js"
import agent from "undici/lib/dispatcher/agent.js"
import poolBase from "undici/lib/dispatcher/pool-base.js"
import pool from "undici/lib/dispatcher/pool.js"

export const Agent = agent as typeof UndiciAgent
export type Agent = UndiciAgent
export const Pool = pool as new(origin: URL, options: object) => Pool
/** A pool, with its own means to take a connection out once its requests are done, and to send those that wait. */
export interface Pool extends UndiciPool {
  [kRemoveClient](client: Client): void
  [kDrainQueue](origin: URL, targets: ReadonlyArray<unknown>): void
}
export const kRemoveClient: unique symbol = poolBase.kRemoveClient as never
export const kDrainQueue: unique symbol = poolBase.kDrainQueue as never
export const buildConnector = connect as typeof build
export const errors = coreErrors as typeof undiciErrors
export type { Client, Dispatcher } from "undici"
