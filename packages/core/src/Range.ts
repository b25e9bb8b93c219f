/**
 * Checks of option ranges. An option out of its range is a programming mistake, so the constructor throws. The message
 * names the option, the allowed range and the given value.
 */
import * as Duration from "effect/Duration"

/** A whole number of at least `min`. */
export const whole = (name: string, n: number, min: number): number => {
  if (!Number.isSafeInteger(n) || n < min) throw outOfRange(name, `a whole number of at least ${min}`, n)
  return n
}

/** A finite number of at least `min`. */
export const atLeast = (name: string, n: number, min: number): number => {
  if (!(n >= min && n < Infinity)) throw outOfRange(name, `at least ${min} and finite`, n)
  return n
}

/** A finite number above 0. */
export const positive = (name: string, n: number): number => {
  if (!(n > 0 && n < Infinity)) throw outOfRange(name, "more than 0 and finite", n)
  return n
}

/** A number from `min` to `max`. */
export const between = (name: string, n: number, min: number, max: number): number => {
  if (!(n >= min && n <= max)) throw outOfRange(name, `between ${min} and ${max}`, n)
  return n
}

/** A share above 0, up to 1. */
export const share = (name: string, n: number): number => {
  if (!(n > 0 && n <= 1)) throw outOfRange(name, "more than 0 and at most 1", n)
  return n
}

/** A finite span of time, in milliseconds. */
export const duration = (name: string, input: Duration.Input): number => {
  const millis = Duration.toMillis(input)
  if (!(millis > 0 && millis < Infinity)) throw outOfRange(name, "longer than 0 and finite", `${millis} ms`)
  return millis
}

/** A finite span of time that may be zero, in milliseconds. */
export const durationOrZero = (name: string, input: Duration.Input): number => {
  const millis = Duration.toMillis(input)
  if (!(millis >= 0 && millis < Infinity)) throw outOfRange(name, "at least 0 and finite", `${millis} ms`)
  return millis
}

/** A name of a few characters that mean nothing in the key of any store. */
export const name = (option: string, given: string): string => {
  if (typeof given !== "string" || !/^[\w.-]{1,64}$/.test(given)) {
    throw outOfRange(option, "1 to 64 letters, digits, dots, underscores or hyphens", JSON.stringify(given))
  }
  return given
}

const outOfRange = (name: string, range: string, given: number | string) =>
  new Error(`${name} must be ${range}, got ${given}`)
