/** What is logged: one line of logfmt an entry, without secrets. */
import * as Config from "effect/Config"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import { printed } from "./RedactedOutput.ts"

export const layer = Logger.layer([Logger.withConsoleLog(Logger.map(Logger.formatLogFmt, printed))])

/** What is logged begins with `LOG_LEVEL`. @default Info */
export const layerLevel = Layer.effect(
  References.MinimumLogLevel,
  Config.withDefault(Config.LogLevel("LOG_LEVEL"), "Info")
)
