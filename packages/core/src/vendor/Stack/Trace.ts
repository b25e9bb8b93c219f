/** Spans for guarded calls, made without a fibre of their own and only when the calling fibre has a tracer. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"

export type Attributes = Readonly<Record<string, string | number | boolean>>

/** Opens a span under `parent`, or under the fibre's own span; `undefined` when nobody traces. */
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
): void => span.end(fiber.getRef(Clock.Clock).currentTimeNanosUnsafe(), exit)
