/**
 * Freezes answers, so that a caller cannot change one for the next caller. Arrays, plain objects and instances of a
 * schema's classes are frozen once. Dates, maps, sets and bytes cannot be frozen: each caller gets its own copy of
 * them. Instances of other classes are returned as they are.
 */
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Freezes an answer with all its parts. Returns whether a part cannot be frozen, so that each caller needs a copy. */
export const freeze = (answer: unknown): boolean => {
  let isLoose = false
  // A set grows while it is iterated, and ends a cycle.
  const parts = new Set<unknown>([answer])
  for (const part of parts) {
    if (isLoosePart(part)) isLoose = true
    else if (isFreezable(part)) Object.freeze(part)
    for (const inner of innerOf(part)) {
      if (typeof inner === "object" && inner !== null) parts.add(inner)
    }
  }
  return isLoose
}

/** An answer with copies of the parts that cannot be frozen; all others are shared. */
export const copy = <A>(answer: A): A => copyOf(answer, new Map()) as A

const copyOf = (part: unknown, copies: Map<unknown, unknown>): unknown => {
  if (typeof part !== "object" || part === null) return part
  if (copies.has(part)) return copies.get(part)
  // A cycle ends here, at the original.
  copies.set(part, part)
  const copied = isLoosePart(part) ? copyOfLoose(part, copies) : isFreezable(part) ? copyOfFrozen(part, copies) : part
  copies.set(part, copied)
  return copied
}

const copyOfFrozen = (part: object, copies: Map<unknown, unknown>): object => {
  const inner = Object.entries(part).map(([name, value]) => [name, value, copyOf(value, copies)] as const)
  if (inner.every(([, value, copied]) => value === copied)) return part
  const made: object = Array.isArray(part) ? [] : Object.create(Object.getPrototypeOf(part) as object | null)
  return Object.freeze(Object.assign(made, Object.fromEntries(inner.map(([name, , copied]) => [name, copied]))))
}

type Loose = Date | Map<unknown, unknown> | Set<unknown> | ArrayBuffer | ArrayBufferView

const copyOfLoose = (part: Loose, copies: Map<unknown, unknown>): Loose => {
  if (part instanceof Map) {
    return new Map(Array.from(part, ([key, value]) => [copyOf(key, copies), copyOf(value, copies)]))
  }
  if (part instanceof Set) return new Set(Array.from(part, (value) => copyOf(value, copies)))
  // A structured clone of a view holds the whole buffer behind it, which may be a pool.
  return part instanceof Uint8Array ? Uint8Array.prototype.slice.call(part) : structuredClone(part)
}

const isLoosePart = (part: unknown): part is Loose =>
  part instanceof Date || part instanceof Map || part instanceof Set || part instanceof ArrayBuffer ||
  ArrayBuffer.isView(part)

const innerOf = (part: unknown): Iterable<unknown> => {
  if (part instanceof Map) return [...part.keys(), ...part.values()]
  if (part instanceof Set) return part
  return isFreezable(part) ? Object.values(part) : []
}

const isFreezable = (part: unknown): part is object => {
  if (typeof part !== "object" || part === null) return false
  if (Array.isArray(part) || Option.isOption(part) || Result.isResult(part)) return true
  const prototype = Object.getPrototypeOf(part) as { readonly constructor?: unknown } | null
  return prototype === null || prototype === Object.prototype || Schema.isSchema(prototype.constructor)
}
