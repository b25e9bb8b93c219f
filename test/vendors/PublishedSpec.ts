/**
 * A vendor's published OpenAPI description, which checks the traffic on the wire. The descriptions are not part of this
 * repository: `BREAKWATER_SPECS` names their folder, by default `../shared/specs`.
 */
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from "ajv"
import { default as ajvFormats } from "ajv-formats"
import { Ajv2020 } from "ajv/dist/2020.js"
import { existsSync, readFileSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parse } from "yaml"
import type { Exchange } from "../watches/Wiretap.ts"

/** The path of a published file. If the file is missing it is `undefined`, and a line is printed. */
export const find = (file: string): string | undefined => {
  const root = fileURLToPath(new URL("../..", import.meta.url))
  const path = resolve(root, process.env["BREAKWATER_SPECS"] ?? "../shared/specs", file)
  if (existsSync(path)) return path
  console.log(`skipped: published specs not found (${file})`)
  return undefined
}

export interface PublishedSpec {
  /** Violations of the description in a request, each with its place. */
  request(exchange: Exchange): ReadonlyArray<string>
  /** Violations in a response. */
  answer(exchange: Exchange): ReadonlyArray<string>
  /** The method and path of a request, as the description writes them. */
  operationOf(exchange: Exchange): string | undefined
  /** The parameters of an operation's query and body, by name. */
  parametersOf(operation: string): ReadonlyArray<string>
  /** The fields of a named schema. */
  fieldsOf(schema: string): ReadonlyArray<string>
  /** The values that a field of a named schema can have. */
  valuesOf(schema: string, field: string): ReadonlyArray<unknown>
}

/** Reads a description; YAML or JSON. */
export const load = (path: string): PublishedSpec => {
  const document = parse(readFileSync(path, "utf8"), { maxAliasCount: -1 }) as Document
  const isOld = document.openapi.startsWith("3.0")
  const plain = (isOld ? withoutNullable(document) : document) as Document
  const validator = (options: Options) => {
    const all = { strict: false, allErrors: true, ...options }
    const ajv = isOld ? new Ajv(all) : new Ajv2020(all)
    ajvFormats.default(ajv)
    // Stripe's own.
    ajv.addFormat("unix-time", { type: "number", validate: Number.isInteger })
    ajv.addFormat("decimal", /^-?\d+(?:\.\d+)?$/)
    ajv.addSchema({ components: plain.components }, "spec")
    const compiled = new Map<unknown, ValidateFunction>()
    return (schema: Json, value: unknown, at: string): ReadonlyArray<string> => {
      const validate = compiled.get(schema) ?? ajv.compile(absolute(schema) as object)
      compiled.set(schema, validate)
      return validate(value) ? [] : (validate.errors ?? []).map((error) => `${at}${describe(error)}`)
    }
  }
  const answered = validator({})
  // In a form or a query everything is text.
  const asked = validator({ coerceTypes: true })

  const deref = <A>(node: A | Reference): A =>
    typeof node === "object" && node !== null && "$ref" in node
      ? node.$ref.slice(2).split("/").reduce<unknown>((at, key) => (at as Record<string, unknown>)[key], plain) as A
      : node
  const basePath = new URL(plain.servers?.[0]?.url ?? "/", "http://localhost").pathname.replace(/\/$/, "")
  const operations = Object.entries(plain.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      id: `${method.toUpperCase()} ${template}`,
      method: method.toUpperCase(),
      // A fixed path segment overrides a parameter in the same place.
      weight: template.split("{").length,
      pattern: new RegExp(`^${basePath}${template.replaceAll(/\{(\w+)\}/g, "(?<$1>[^/]+)")}$`),
      operation
    }))
  ).toSorted((a, b) => a.weight - b.weight)
  const match = ({ method, path }: Exchange) =>
    operations.find((operation) => operation.method === method && operation.pattern.test(path))

  const schemaOf = (name: string) => plain.components.schemas[name]!
  return {
    operationOf: (exchange) => match(exchange)?.id,
    parametersOf(id) {
      const { parameters = [], requestBody } = operations.find((operation) => operation.id === id)!.operation
      const inBody = Object.values(deref(requestBody)?.content ?? {}).flatMap((content) =>
        Object.keys(content?.schema["properties"] ?? {})
      )
      return [
        ...parameters.map(deref).filter((parameter) => parameter.in === "query").map(({ name }) => name),
        ...inBody
      ]
    },
    fieldsOf: (name) => Object.keys(schemaOf(name).properties),
    valuesOf: (name, field) => (schemaOf(name).properties[field] as { readonly enum: ReadonlyArray<unknown> }).enum,

    request(exchange) {
      const found = match(exchange)
      if (found === undefined) return [`there is no ${exchange.method} ${exchange.path}`]
      const parameters = (found.operation.parameters ?? []).map(deref)
      const inPath = found.pattern.exec(exchange.path)?.groups ?? {}
      const inQuery = unbracketed(exchange.query)
      const wrong = Object.keys(inQuery)
        .filter((name) => !parameters.some((parameter) => parameter.in === "query" && parameter.name === name))
        .map((name) => `query ${name}: is not described`)
      for (const { in: place, name, required = false, schema } of parameters) {
        const value = place === "path" ? inPath[name] : inQuery[name]
        if (value !== undefined) wrong.push(...asked(schema, value, `${place} ${name}`))
        else if (required) wrong.push(`${place} ${name}: is missing`)
      }
      const described = deref(found.operation.requestBody)
      if (exchange.body === "") return described?.required === true ? [...wrong, "body: is missing"] : wrong
      const type = mediaType(exchange.headers)
      const content = described?.content[type]
      if (content === undefined) return [...wrong, `body: ${type} is not described`]
      const body = type === "application/x-www-form-urlencoded"
        ? unbracketed(new URLSearchParams(exchange.body))
        : JSON.parse(exchange.body)
      return [...wrong, ...asked(content.schema, body, "body")]
    },

    answer({ answer, ...exchange }) {
      const found = match({ answer, ...exchange })
      if (found === undefined) return [`there is no ${exchange.method} ${exchange.path}`]
      if (answer === undefined) return ["there is no answer"]
      const { responses } = found.operation
      const response = deref(responses[String(answer.status)] ?? responses["default"])
      if (response === undefined) return [`status ${answer.status} is not described`]
      const content = response.content?.[mediaType(answer.headers)]
      return content === undefined
        ? [`${answer.status}: ${mediaType(answer.headers)} is not described`]
        : answered(content.schema, JSON.parse(answer.body), `${answer.status} body`)
    }
  }
}

/**
 * Names with brackets as a tree (OpenAPI's `deepObject`, nested as Stripe does); `a[0]`, `a[1]` is a list. Written
 * apart from the one that is judged.
 */
const unbracketed = (params: URLSearchParams): Record<string, unknown> => {
  const tree: Record<string, unknown> = {}
  for (const [name, value] of params) {
    const path = name.replaceAll("]", "").split("[")
    const last = path.pop()!
    const branch = path.reduce((at, key) => (at[key] ??= {}) as Record<string, unknown>, tree)
    branch[last] = value
  }
  return listed(tree) as Record<string, unknown>
}

const listed = (node: unknown): unknown => {
  if (typeof node !== "object" || node === null) return node
  const entries = Object.entries(node).map(([key, child]): [string, unknown] => [key, listed(child)])
  return entries.length > 0 && entries.every(([key], index) => key === String(index))
    ? entries.map(([, child]) => child)
    : Object.fromEntries(entries)
}

/** OpenAPI 3.0 says `nullable` where JSON Schema says that null is another possibility. */
const withoutNullable = (node: unknown): unknown => {
  if (Array.isArray(node)) return node.map(withoutNullable)
  if (typeof node !== "object" || node === null) return node
  const { nullable, ...rest } = node as Record<string, unknown>
  const plain = Object.fromEntries(
    Object.entries(nullable === true ? rest : node).map(([key, child]) => [key, withoutNullable(child)])
  )
  return nullable === true ? { anyOf: [{ type: "null" }, plain] } : plain
}

/** References of a part as references into the whole. */
const absolute = (node: Json): Json => JSON.parse(JSON.stringify(node).replaceAll("\"#/", "\"spec#/")) as Json

const describe = ({ instancePath, message, params }: ErrorObject): string =>
  `${instancePath}: ${message ?? "is wrong"} ${JSON.stringify(params)}`

const mediaType = (headers: Headers): string => headers.get("content-type")?.split(";")[0]?.trim() ?? "no content type"

type Json = Readonly<Record<string, unknown>>
interface Reference {
  readonly $ref: string
}
interface Content {
  readonly [mediaType: string]: { readonly schema: Json } | undefined
}
interface Parameter {
  readonly name: string
  readonly in: "path" | "query" | "header"
  readonly required?: boolean
  readonly schema: Json
}
interface Operation {
  readonly parameters?: ReadonlyArray<Parameter | Reference>
  readonly requestBody?: { readonly required?: boolean; readonly content: Content } | Reference
  readonly responses: Readonly<Record<string, { readonly content?: Content } | Reference | undefined>>
}
interface Document {
  readonly openapi: string
  readonly servers?: ReadonlyArray<{ readonly url: string }>
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, { readonly properties: Json; readonly required?: ReadonlyArray<string> }>>
  }
}
