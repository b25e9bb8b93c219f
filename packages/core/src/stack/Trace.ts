/** Spans for guarded calls, made without their own fibre and only when the calling fibre has a tracer. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import * as Redaction from "../Redaction.ts"
import { isVendorError } from "../VendorError.ts"

export type Attributes = Readonly<Record<string, string | number | boolean>>

/** Opens a span under `parent`, or under the fibre's own span; `undefined` without a tracer. */
export const open = (
  fiber: Fiber.Fiber<unknown, unknown>,
  parent: Tracer.AnySpan | undefined,
  name: string,
  kind: Tracer.SpanKind,
  attributes: Attributes
): Tracer.Span | undefined => {
  const { span: current, tracer, tracerEnabled } = fiber.cache
  if (tracer === undefined || !tracerEnabled) return undefined
  const above = parent ?? current
  const span = tracer.span({
    name,
    kind,
    parent: Option.fromUndefinedOr(above),
    annotations: Context.empty(),
    links: [],
    startTime: fiber.getRef(Clock.Clock).currentTimeNanosUnsafe(),
    root: false,
    sampled: above?.sampled ?? true
  })
  for (const name in attributes) span.attribute(name, attributes[name])
  return span
}

export const close = (
  fiber: Fiber.Fiber<unknown, unknown>,
  span: Tracer.Span,
  exit: Exit.Exit<unknown, unknown>
): void => span.end(fiber.getRef(Clock.Clock).currentTimeNanosUnsafe(), shown(exit))

/**
 * The exit that a span may show, because exporters write it out. A declared error may hold the vendor's text, so only
 * its tag is shown. A defect may hold any text, so it is shown without its secrets.
 */
const shown = (exit: Exit.Exit<unknown, unknown>): Exit.Exit<unknown, unknown> =>
  Exit.isSuccess(exit) ? Exit.void : Exit.failCause(
    Cause.fromReasons(exit.cause.reasons.map((reason) => {
      if (reason._tag === "Interrupt") return reason
      return reason._tag === "Fail"
        ? Cause.makeFailReason(isVendorError(reason.error) ? reason.error : declared(reason.error))
        : Cause.makeDieReason(defect(reason.defect))
    }))
  )

const declared = (error: unknown): Error => {
  const tag = typeof error === "object" && error !== null ? read(error, "_tag") : ""
  return bare("DeclaredError", tag === "" ? "an error that the contract declares" : tag)
}

const defect = (thrown: unknown): Error =>
  thrown instanceof Error
    ? bare(read(thrown, "name"), read(thrown, "message"), read(thrown, "stack"))
    : bare("Defect", `a ${typeof thrown} was thrown`)

/** A property of a foreign error may throw when it is read. */
const read = (thrown: object, name: string): string => {
  try {
    const value = (thrown as Readonly<Record<string, unknown>>)[name]
    return typeof value === "string" ? Redaction.text(value) : ""
  } catch {
    return ""
  }
}

const bare = (name: string, message: string, stack = `${name}: ${message}`): Error =>
  Object.assign(new Error(message), { name, stack })
