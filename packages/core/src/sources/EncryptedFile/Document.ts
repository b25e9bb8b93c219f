/** The contents of an encrypted file: lines of `NAME=value`, or a JSON object of strings. Errors show no value. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { type Trouble, trouble } from "../LocalFile.ts"

/** Secrets by name, in the order of the file. */
export type Secrets = ReadonlyMap<string, string>

/** Parses the whole text, and rejects anything ambiguous. */
export const parse = (text: string): Effect.Effect<Secrets, Trouble> =>
  isJson(text) ? parseJson(text) : parseLines(text)

/** The text with one secret set or removed. It keeps its lines unless the value needs JSON. */
export const change = (
  text: string,
  name: string,
  value: string | undefined
): Effect.Effect<string, Trouble> =>
  Effect.gen(function*() {
    const secrets = new Map(yield* parse(text))
    if (value === undefined) secrets.delete(name)
    else secrets.set(name, value)
    if (isJson(text) || (value !== undefined && (!isLine(value) || isJson(name)))) {
      return `${JSON.stringify(Object.fromEntries(secrets), undefined, 2)}\n`
    }
    const line = value === undefined ? [] : [`${name}=${value}`]
    const lines = text === "" ? [] : text.replace(/\r?\n$/, "").split(/\r?\n/)
    const at = lines.findIndex((line) => line.startsWith(`${name}=`))
    const changed = at < 0 ? [...lines, ...line] : lines.toSpliced(at, 1, ...line)
    return changed.map((line) => `${line}\n`).join("")
  })

/** A name can be typed in a shell, and does not begin a comment. */
export const isName = (name: string): boolean => /^[^\s#={}"'`$\\][^\s={}"'`$\\]{0,254}$/.test(name)

const isJson = (text: string): boolean => /^\s*\{/.test(text)

const decodeJson = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Record(Schema.String, Schema.NonEmptyString))
)

const parseJson = (text: string): Effect.Effect<Secrets, Trouble> =>
  Option.match(decodeJson(text), {
    onNone: () => Effect.fail(trouble("is not a JSON object of names and non-empty strings")),
    onSome: (record) => {
      const secrets = new Map(Object.entries(record))
      return [...secrets.keys()].every(isName)
        ? Effect.succeed(secrets)
        : Effect.fail(trouble("has an invalid name"))
    }
  })

const parseLines = (text: string): Effect.Effect<Secrets, Trouble> => {
  const secrets = new Map<string, string>()
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    const at = line.indexOf("=")
    const [name, value] = [line.slice(0, at), line.slice(at + 1)]
    const issue = at < 0 || !isName(name)
      ? "is not NAME=value"
      : value === ""
      ? "has no value"
      : !isLine(value)
      ? "has a value in quotes, or with space around it, which would be part of the value: remove it, or make the file JSON"
      : secrets.has(name)
      ? "repeats the name of a secret"
      : undefined
    if (issue !== undefined) return Effect.fail(trouble(`is invalid: line ${index + 1} ${issue}`))
    secrets.set(name, value)
  }
  return Effect.succeed(secrets)
}

/** Whether a line can hold the value unchanged. */
const isLine = (value: string): boolean => value === value.trim() && !/[\r\n]|^(["'`]).*\1$/.test(value)
