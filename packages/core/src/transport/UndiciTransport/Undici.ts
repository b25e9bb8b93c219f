/**
 * The parts of undici that the transport uses, imported one by one. Importing undici itself replaces the dispatcher of
 * the process's own `fetch` (`lib/global.js`): on Node 22 that fetch would lose its proxy and refuse a `content-length`
 * of its caller (nodejs/undici#4960, #5500). Its version is exact, because these paths are not part of its interface.
 */
// Programs that type-check the sources from elsewhere do not see the file otherwise.
// oxlint-disable-next-line typescript/triple-slash-reference
/// <reference path="./undici.d.ts" />
import type { Agent as UndiciAgent, buildConnector as build, errors as undiciErrors } from "undici"
import connect from "undici/lib/core/connect.js"
import coreErrors from "undici/lib/core/errors.js"
import agent from "undici/lib/dispatcher/agent.js"

export const Agent = agent as typeof UndiciAgent
export type Agent = UndiciAgent
export const buildConnector = connect as typeof build
export const errors = coreErrors as typeof undiciErrors
export type { Dispatcher } from "undici"
