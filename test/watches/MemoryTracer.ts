/** A tracer that keeps every span for a test. */
import { Layer, Tracer } from "effect"

export interface MemoryTracer {
  /** In the order in which they began. */
  readonly spans: ReadonlyArray<Tracer.NativeSpan>
  readonly layer: Layer.Layer<never>
}

export const make = (): MemoryTracer => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span(options) {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return { spans, layer: Layer.succeed(Tracer.Tracer, tracer) }
}
