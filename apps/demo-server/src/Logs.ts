/** Logs: one line of logfmt per entry, without secrets. */
import * as Config from "effect/Config"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { printed } from "./RedactedOutput.ts"

export const layer = Logger.layer([Logger.withConsoleLog(Logger.map(Logger.formatLogFmt, printed))])

/** The lowest level that is logged, from `LOG_LEVEL`. @default Info */
export const layerLevel = Layer.effect(
  References.MinimumLogLevel,
  Config.withDefault(Config.LogLevel("LOG_LEVEL"), "Info")
)
