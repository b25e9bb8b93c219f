/**
 * Known mutants: the product with one redaction removed, or with one of the faults that a test once did not notice, each by
 * a change of one source file. A mutant whose change no longer applies counts as a survivor.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** The repository. */
export const root = fileURLToPath(new URL("../..", import.meta.url))

/** A source as it is. */
export const read = (file: string): string => readFileSync(root + file, "utf8")

export interface Mutant {
  readonly name: string
  /** Relative to the root of the repository. */
  readonly file: string
  /** The changed source; `undefined` when there is nothing to change. */
  readonly change: (source: string) => string | undefined
  /** What has to notice it: the leak test, or any test that reaches its file. @default "leaks" */
  readonly by?: "leaks" | "tests"
}

const core = "packages/core/src"

/** Replaces the only occurrence of a text. */
const replace = (from: string, to: string): Mutant["change"] => (source) =>
  source.split(from).length === 2 ? source.replace(from, () => to) : undefined

/** One mutant for each line of a table, without that line. */
const withoutEachLine = (
  file: string,
  source: string,
  table: string,
  isRule: (line: string) => boolean
): ReadonlyArray<Mutant> => {
  const lines = source.split("\n")
  const begin = lines.findIndex((line) => line.startsWith(`const ${table}`))
  const end = lines.findIndex((line, index) => index > begin && line === "]")
  return lines.flatMap((line, index) =>
    index > begin && index < end && isRule(line)
      ? [{
        name: `${table} without ${line.trim().replace(/,$/, "")}`,
        file,
        // The last line has no comma, and a trailing comma is allowed in an array.
        change: () => lines.filter((_, other) => other !== index).join("\n")
      }]
      : []
  )
}

/** Every rule of the tables, read from the source, so that a new rule without its own test row is found. */
const ofTables = (): ReadonlyArray<Mutant> => {
  const names = `${core}/Redaction/Names.ts`
  const shapes = `${core}/Redaction/Shapes.ts`
  return [
    ...withoutEachLine(names, read(names), "secretWords", (line) => /^ {2}"/.test(line)),
    ...withoutEachLine(shapes, read(shapes), "prefixed", (line) => /^ {2}\//.test(line) && !line.startsWith("  //"))
  ]
}

const redaction = `${core}/Redaction.ts`
const shapesFile = `${core}/Redaction/Shapes.ts`
const namesFile = `${core}/Redaction/Names.ts`

const change = (file: string, name: string, from: string, to: string): Mutant => ({
  name,
  file,
  change: replace(from, to)
})

/** The steps of redaction itself. */
const ofRules: ReadonlyArray<Mutant> = [
  change(
    namesFile,
    "names: long words count only alone (suffix)",
    "suffixes.some((word) => squashed.endsWith(word))",
    "false"
  ),
  change(
    namesFile,
    "names: long words count only alone (infix)",
    "infixes.some((word) => squashed.includes(word))",
    "false"
  ),
  change(namesFile, "names: the field around it does not count", "|| isCompound(path, words.length)", ""),
  change(namesFile, "names: no doubtful ones", "doubtful.has(words[0]!)", "false"),
  change(
    namesFile,
    "names: plurals are other words",
    `word.length > 3 && /[^s]s$/.test(word) ? word.slice(0, -1) : word`,
    "word"
  ),
  change(namesFile, "names: case is not looked at", "/[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\\d+/g", "/[A-Za-z]+|\\d+/g"),
  change(shapesFile, "shapes: no private keys", "hideUserInfo(hidePem(text))", "hideUserInfo(text)"),
  change(
    shapesFile,
    "shapes: private keys need an end",
    "close < 0 ? text.length : close + 5",
    "close < 0 ? begin.lastIndex : close + 5"
  ),
  change(shapesFile, "shapes: no user info", "hideUserInfo(hidePem(text))", "hidePem(text)"),
  change(shapesFile, "shapes: no user info with a scheme", "`$1${redacted}@`)", "\"$&\")"),
  change(shapesFile, "shapes: no user info without a scheme", "? whole : `${redacted}@`)", "? whole : whole)"),
  change(shapesFile, "shapes: no bearer tokens", "\\b(bearer|basic|token)", "\\b(basic|token)"),
  change(shapesFile, "shapes: no basic credentials", "\\b(bearer|basic|token)", "\\b(bearer|token)"),
  change(shapesFile, "shapes: no card numbers", "hideLongest(found, isCard)", "found"),
  change(
    shapesFile,
    "shapes: card numbers only without groups",
    "hideLongest(found, isCard)",
    "isCard(found) ? redacted : found"
  ),
  change(shapesFile, "shapes: no account numbers", "hideLongest(found, isIban)", "found"),
  change(
    shapesFile,
    "shapes: nothing is random",
    "hideRandom(hideNumbers(hideDefinite(text)))",
    "hideNumbers(hideDefinite(text))"
  ),
  change(shapesFile, "shapes: hex is not random", `return /\\d/.test(text) && /[a-f]/i.test(text)`, "return false"),
  change(shapesFile, "shapes: mixed case is not random", "digits > 0 && bitsOf(text) >= randomBits", "false"),
  change(shapesFile, "shapes: one case is not random", "text.length >= 40 && digits >= 4", "false"),
  change(
    shapesFile,
    "shapes: base64 has no + and /",
    "|| (/^[A-Za-z0-9+/]+$/.test(text) && !text.startsWith(\"/\"))",
    ""
  ),
  change(
    redaction,
    "headers: every value is shown",
    ": redacted\n}\n\n/** The name of a header",
    ": value\n}\n\n/** The name of a header"
  ),
  change(
    redaction,
    "headers: shown values are not redacted as text",
    "? Shapes.hideDefinite(value)\n    : redacted",
    "? value\n    : redacted"
  ),
  change(
    redaction,
    "headers: locations are shown",
    "if (locations.has(lower)) {",
    "if (locations.has(lower)) return value\n  if (locations.has(lower)) {"
  ),
  change(redaction, "headers: links are shown", "`<${url(link as string)}>`", "`<${link}>`"),
  change(redaction, "headers: every name is shown", "&& !Shapes.isSecret(name) ? name.toLowerCase()", "? name"),
  change(redaction, "URLs: user info stays", "at < 0 ? authority", "at < 1e9 ? authority"),
  change(redaction, "URLs: fragments stay", `([^?#]*)(?:`, `([^?]*)(?:`),
  change(redaction, "URLs: paths are not looked at", "Shapes.hide(path).split(\"/\").map(segment).join(\"/\")", "path"),
  change(redaction, "URLs: queries are not looked at", "`?${form(query, onHidden)}`", "`?${query}`"),
  change(
    redaction,
    "forms: names are not decoded",
    "field(decode(name), \"\", value, onHidden)",
    "field(name, \"\", value, onHidden)"
  ),
  change(
    redaction,
    "forms: values are not decoded",
    "const value = decode(given.slice(equals + 1))",
    "const value = given.slice(equals + 1)"
  ),
  change(
    redaction,
    "fields: names do not count",
    "return value === \"\" ? value : hidden(value, onHidden)",
    "return text(value)"
  ),
  change(
    redaction,
    "fields: doubtful names do not count",
    "return Shapes.isWord(value) ? value : hidden(value, onHidden)",
    "return value"
  ),
  change(
    redaction,
    "fields: values are not looked at",
    "case \"Plain\":\n      return text(value)",
    "case \"Plain\":\n      return value"
  ),
  change(redaction, "JSON: numbers are not looked at", "|| Shapes.isSecret(String(value))", ""),
  change(
    redaction,
    "JSON: numbers have no names",
    "(Names.kindOf(name, parent) === \"Secret\" && !/token/i.test(name)) ||",
    ""
  ),
  change(
    redaction,
    "JSON: values below a secret's name are shown",
    "|| Names.kindOf(name, parent) === \"Secret\") return redacted",
    ") return redacted"
  ),
  change(redaction, "JSON: keys are not looked at", "Shapes.isSecret(key) ? redacted : key", "key"),
  change(redaction, "text: fields are not looked at", "Shapes.hide(hideNamed(given))", "Shapes.hide(given)"),
  change(redaction, "text: shapes are not looked at", "Shapes.hide(hideNamed(given))", "hideNamed(given)"),
  change(
    redaction,
    "text: a header ends at its first word",
    "wholeLine.test(found[1]!) && /:/.test(found[2]!)",
    "false"
  ),
  change(
    redaction,
    "text: a quoted value ends at its first word",
    "if (open !== null) {",
    "if (open !== null && false) {"
  ),
  change(
    redaction,
    "text: doubtful names do not count",
    "if (kind !== \"Secret\" && kind !== \"Doubtful\") continue",
    "if (kind !== \"Secret\") continue"
  )
]

const issues = `${core}/client/Contract/Issues.ts`
const requests = `${core}/client/Contract/Requests.ts`
const sample = `${core}/client/ResponseShape.ts`
const client = `${core}/client/Client.ts`
const send = `${core}/client/Client/Send.ts`
const vendor = `${core}/client/Vendor.ts`
const trace = `${core}/stack/Trace.ts`
const exchange = `${core}/transport/UndiciTransport/UndiciExchange.ts`
const check = `${core}/transport/RequestCheck.ts`
const httpUrl = `${core}/transport/HttpUrl.ts`
const recorder = `${core}/testing/Recorder.ts`
const exchanges = `${core}/testing/Recorder/Exchanges.ts`

/** The places in the product that keep a secret out of an output, or that leave out text that could hold one. */
const ofCalls: ReadonlyArray<Mutant> = [
  change(
    `${core}/credentials/Credential.ts`,
    "a credential is not Redacted",
    "{ value: Redacted.make(value) }",
    "{ value: Redacted.make(value, { label: value }) }"
  ),
  change(
    `${core}/credentials/Source.ts`,
    "a broken source's defect is repeated",
    "defect instanceof Error ? defect.name",
    "defect instanceof Error ? defect.message"
  ),
  change(
    `${core}/client/Secrets.ts`,
    "a credential in quotes is shown",
    "`the credential ${name} is in quotes,",
    "`the credential ${Redacted.value(secret)} is in quotes,"
  ),
  change(issues, "an issue says which key it was", "ResponseShape.isName(key) ? `\"${key}\"` : \"<key>\"", "key"),
  change(
    issues,
    "an issue says what a codec said",
    ": \"a codec of the contract failed\"",
    ": String((error as any).cause?.reasons?.[0]?.defect)"
  ),
  change(
    requests,
    "an issue says what the value was",
    "Schema.encodeUnknownSync(schema as unknown as Schema.ConstraintEncoder<unknown>)",
    "(input) => { try { return Schema.encodeUnknownSync(schema as any)(input) } catch { throw new Error(`Missing path parameter: ${JSON.stringify(input).replaceAll(/\\W/g, \"_\")}`) } }"
  ),
  change(sample, "a sample repeats keys that have a secret's shape", "Redaction.text(key) === key && ", ""),
  change(sample, "a sample repeats keys that are ids", " && !mixed.test(key)", ""),
  change(sample, "a sample repeats every key", "`${isName(key) ? key : \"<key>\"}: ", "`${key}: "),
  change(sample, "a sample repeats values", "return typeof json\n", "return String(json)\n"),
  change(sample, "a sample repeats any main type", "if (!mainTypes.test(type)) return \"another content type\"", ""),
  change(sample, "a sample repeats any media type", "subtypes.test(subtype) ? subtype : \"…\"", "subtype"),
  change(sample, "a sample repeats the beginning of a body", "clip(`<${kind},", "clip(`<${head},"),
  change(
    trace,
    "a span ends with an error in the vendor's words",
    "isVendorError(reason.error) ? reason.error : declared(reason.error)",
    "reason.error"
  ),
  change(
    trace,
    "a span ends with a defect as it is",
    "Cause.makeDieReason(defect(reason.defect))",
    "Cause.makeDieReason(reason.defect)"
  ),
  change(
    exchange,
    "the transport says what could not be parsed",
    "return words === \"Invalid EOF state\" ? undefined : words",
    "return String((error as { readonly data?: unknown }).data)"
  ),
  change(
    check,
    "the transport says which header could not be sent",
    "`the header ${name} holds characters that cannot be sent`",
    "`the header ${name}: ${value} cannot be sent`"
  ),
  change(
    check,
    "the transport says which name of a header could not be sent",
    "\"invalid header name\"",
    "`invalid header name ${name}`"
  ),
  change(
    check,
    "the transport says which path could not be sent",
    "\"the path holds characters that must be encoded\"",
    "`${path} has to be encoded`"
  ),
  change(
    send,
    "a span says which path was asked for",
    "path: basePath + request.path,",
    "path: (attempt.span?.attribute(\"url.full\", origin + basePath + request.path), basePath + request.path),"
  ),
  change(
    send,
    "a span says which headers were sent",
    "headers: [...fixedHeaders, ...request.headers],",
    "headers: (attempt.span?.attribute(\"http.request.header\", request.headers.join()), [...fixedHeaders, ...request.headers]),"
  ),
  change(
    client,
    "an invalid key is repeated",
    "new InvalidRequest(\"an idempotency key is 1 to 255 visible ASCII characters\")",
    "new InvalidRequest(`${idempotencyKey} is no key`)"
  ),
  change(httpUrl, "a base URL may hold a password", "if (hasUserInfo(url)) return \"UserInfo\"\n", ""),
  change(
    vendor,
    "a base URL that holds a password is repeated",
    "`; the secret is ${",
    "`, unlike ${url.href}; the secret is ${"
  ),
  change(
    vendor,
    "a refused base URL is repeated",
    "misconfigured(` ${HttpUrl.flaws[flaw]}${mend}`)",
    "misconfigured(` ${url.href} ${HttpUrl.flaws[flaw]}${mend}`)"
  ),
  change(recorder, "a recording is not searched", "yield* refuseSecrets(options.file, recorded, secrets)", ""),
  change(
    recorder,
    "a recording is searched when it is written",
    "yield* refuseSecrets(options.file, recorded, secrets)\n",
    "yield* Effect.orElseSucceed(Recording.write(`${options.file}.draft`, recorded), () => {})\n    yield* refuseSecrets(options.file, recorded, secrets)\n"
  ),
  change(
    recorder,
    "only requests are searched",
    "[[\"request\", request], [\"response\", response]] as const",
    "[[\"request\", request]] as const"
  ),
  change(exchanges, "a recorder does not hear the headers", "this.hearHeaders(request.headers)", ""),
  change(exchanges, "a recorder does not hear what follows a scheme", "if (rest !== undefined) this.hear(rest)", ""),
  change(
    exchanges,
    "a recorder does not hear basic passwords",
    "this.hear(password === \"\" ? user : password)",
    "this.hear(password === \"\" ? user : \"\")"
  ),
  change(
    exchanges,
    "a recorder does not hear basic users without a password",
    "this.hear(password === \"\" ? user : password)",
    "this.hear(password)"
  ),
  change(exchanges, "a recorder does not hear cookies", "if (name === \"cookie\")", "if (name === \"\")"),
  change(
    exchanges,
    "a recorder does not hear what a field hid",
    "header(this.headers, \"content-type\"), this.hear)",
    "header(this.headers, \"content-type\"))"
  ),
  change(
    exchanges,
    "a recorder does not hear what a request hid",
    "request: requestOf(request, this.hear, this.shown)",
    "request: requestOf(request, undefined, this.shown)"
  ),
  change(exchanges, "a recording has paths as they are", "path: Redaction.url(path, hear)", "path"),
  change(
    exchanges,
    "a recording has the headers of requests as they are",
    "sorted(Redaction.headers(named, shown))",
    "sorted(named)"
  ),
  change(
    exchanges,
    "a recording has the headers of answers as they are",
    "sorted(Redaction.headers(this.headers, this.shown))",
    "sorted(this.headers as Record<string, string>)"
  ),
  change(
    exchanges,
    "a recording has forms as they are",
    "return { form: Redaction.form(text, hear) }",
    "return { form: text }"
  ),
  change(
    exchanges,
    "a recording has JSON as it is",
    "JSON.parse(JSON.stringify(Redaction.json(json, hear)))",
    "json"
  ),
  change(exchanges, "a recording has text as it is", "return { text: Redaction.text(text) }", "return { text }"),
  change(
    recorder,
    "a recorder does not hear the credentials",
    "Effect.sync(() => secrets.add(Redacted.value(secret)))",
    "Effect.void"
  )
]

const search = `${core}/Redaction/Search.ts`

/** The encodings in which a known secret is looked for. */
const ofSearch: ReadonlyArray<Mutant> = [
  change(search, "search: no base64", "...(bytes.length >= 6 ? ", "...(false ? "),
  change(search, "search: base64 at the first alignment only", "[0, 1, 2].flatMap", "[0].flatMap"),
  change(search, "search: base64 at two alignments only", "[0, 1, 2].flatMap", "[0, 1].flatMap"),
  change(search, "search: no base64url", "[core, core.replaceAll(\"+\", \"-\").replaceAll(\"/\", \"_\")]", "[core]"),
  change(search, "search: no hex", "trace(\"joined\", \"hex\", bytes.toString(\"hex\")),", ""),
  change(search, "search: hex in lower case only", "trace(\"joined\", \"hex\", ", "trace(\"cased\", \"hex\", "),
  change(search, "search: no bytes", "trace(\"listed\", \"bytes\", bytes.join(\",\"))", ""),
  change(search, "search: bytes in one line only", "reading.replaceAll(/\\s+/g, \"\")", "reading"),
  change(search, "search: case counts", "joined(reading).toLowerCase()", "joined(reading)"),
  change(search, "search: a whole secret only", "piecesOf(secret).flatMap", "[secret].flatMap"),
  change(
    search,
    "search: pieces from the beginning only",
    "if (secret.length > pieceLength) pieces",
    "if (secret.length < 0) pieces"
  ),
  change(search, "search: pieces end to end only", "at += pieceLength / 2", "at += pieceLength"),
  change(search, "search: the last piece only", "at + pieceLength < secret.length", "at < 0"),
  change(
    search,
    "search: in one line only",
    "...(closed.length >= minLength ? [trace(\"joined\", \"plain\", closed)] : []),",
    ""
  ),
  change(search, "search: the first pass only", "from < traces.length", "from < 1"),
  change(
    search,
    "search: no percent-encoding",
    "[percentDecode, plusDecode, jsonDecode, entityDecode]\nconst chains = [[percentDecode, jsonDecode, entityDecode], [plusDecode, percentDecode, jsonDecode, entityDecode]]",
    "[jsonDecode, entityDecode]\nconst chains = [[jsonDecode, entityDecode]]"
  ),
  change(search, "search: plus is no space", "text.replaceAll(\"+\", \" \")", "text"),
  change(search, "search: plus is always a space", "[percentDecode, jsonDecode, entityDecode], [", "["),
  change(
    search,
    "search: no escapes of JSON",
    "String.fromCharCode(Number.parseInt((four ?? two) as string, 16))",
    "\"\""
  ),
  change(search, "search: no escaped quotes", ".replaceAll(/\\\\([\"'`/\\\\])/g, \"$1\")", ""),
  change(
    search,
    "search: no numbered entities",
    "codePoint(hex === undefined ? Number(decimal) : Number.parseInt(hex as string, 16))",
    "\"\""
  ),
  change(search, "search: no named entities", "entities[name as string]!", "\"\""),
  change(search, "search: one encoding only, not one in another", "depth < maxDepth", "depth < 0"),
  change(search, "search: base64 in one line only", "/(?:[\\s:,\"'`[\\]]|\\\\[nr])+/g", "/(?:[:,])+/g"),
  change(
    search,
    "search: a secret is not encoded before it is looked for",
    "[whole, encodeURIComponent(whole), JSON.stringify(whole).slice(1, -1)]",
    "[whole]"
  )
]

const app = "apps/demo-server/src"

/** The redactions of the demo server's logs, pages, spans and crash output. */
const ofServer: ReadonlyArray<Mutant> = [
  change(
    `${app}/Logs.ts`,
    "server: logs are printed without redaction",
    "Logger.map(Logger.formatLogFmt, printed)",
    "Logger.formatLogFmt"
  ),
  change(
    `${app}/RedactedOutput.ts`,
    "server: printed text is not redacted by name and shape",
    "shown = Redaction.text(shown)",
    ""
  ),
  change(
    `${app}/RedactedOutput.ts`,
    "server: printed text keeps secrets of the environment",
    "Redaction.json(environment, remember)",
    ""
  ),
  change(
    `${app}/RedactedOutput.ts`,
    "server: printed text is not searched",
    "Redaction.survives(shown, known) === undefined ? shown",
    "known.size >= 0 ? shown"
  ),
  change(`${app}/main.ts`, "server: a crash is Node's own", "Crash.guard()", ""),
  change(
    `${app}/main.ts`,
    "server: what ends the server is logged as it is",
    "disableErrorReporting: true",
    "disableErrorReporting: false"
  ),
  change(`${app}/Crash.ts`, "server: a report holds the environment", "process.report.excludeEnv = true", ""),
  change(
    `${app}/Crash.ts`,
    "server: a crash is printed as it is",
    "return printed(inspect(error))",
    "return inspect(error)"
  ),
  change(
    `${app}/Crash.ts`,
    "server: a report holds the error as it is",
    "writeReport(bare(text))",
    "writeReport(error)"
  ),
  change(
    `${app}/Crash.ts`,
    "server: an error that cannot be looked at is Node's own",
    "} catch {",
    "} catch (error) {\n    throw error"
  ),
  change(
    `${app}/Observability.ts`,
    "server: spans are exported as they are",
    "exporter.export(spans.map(shown), done)",
    "exporter.export(spans, done)"
  ),
  change(
    `${app}/Observability.ts`,
    "server: attributes of URLs are exported as they are",
    "typeof value === \"string\" && name.startsWith(\"url.\")",
    "typeof value === \"string\" && name === \"url\""
  ),
  change(
    `${app}/Observability.ts`,
    "server: queries are exported as they are",
    "name === \"url.query\" ? Redaction.form(value)",
    "name === \"url.query\" ? value.replaceAll(\"=\", \"/\")"
  ),
  change(
    `${app}/Observability.ts`,
    "server: other attributes are exported as they are",
    "return typeof kept === \"string\" ? printed(kept) : kept",
    "return value"
  ),
  change(
    `${app}/Observability.ts`,
    "server: events are exported as they are",
    "attributes: attributes(event.attributes ?? {})",
    "attributes: event.attributes ?? {}"
  ),
  change(
    `${app}/Observability.ts`,
    "server: what a span says of its end is exported as it is",
    "message: printed(span.status.message ?? \"\")",
    "message: span.status.message ?? \"\""
  ),
  change(
    `${app}/Control.ts`,
    "server: the journal shows paths as they are",
    "path: Redaction.url(entry.path)",
    "path: entry.path"
  ),
  change(
    `${app}/Control.ts`,
    "server: the control API repeats the requested name",
    "`No such simulator; there are",
    "`No simulator of ${vendor}; there are"
  ),
  change(
    `${app}/Failures.ts`,
    "server: a failure is sent without redaction",
    "respond(500, Problem.internal))",
    "respond(500, String(cause)))"
  ),
  change(
    `${app}/Misfit.ts`,
    "server: a secret in the place of a field's name is repeated",
    "unknown.filter(isShown)",
    "unknown.filter((name) => isShown(name) || name.length > 0)"
  ),
  change(
    `${app}/RequestId.ts`,
    "server: a request id that is a secret is repeated",
    "printed(given) === given ? given",
    "printed(given) !== \"\" ? given"
  )
]

const fault = (file: string, name: string, from: string, to: string): Mutant => ({
  ...change(`${core}/${file}`, name, from, to),
  by: "tests"
})

/** Faults of a call. Each of them is easy to make, and once went unnoticed. */
const ofFaults: ReadonlyArray<Mutant> = [
  fault(
    "stack/Stack/AttemptRing.ts",
    "calls: an attempt that is left before it starts keeps its permits",
    "return void cancelPermits(this)",
    "return"
  ),
  fault(
    "stack/Stack/HedgedAttempt.ts",
    "calls: an attempt that a gate refused is followed by another at once",
    "end.wasStarted && begun <= hedge.hedges",
    "begun <= hedge.hedges"
  ),
  fault(
    "stack/Stack/OperationRing.ts",
    "calls: a hedge begins after the deadline",
    "this.now >= this.deadline || this.plan.retryBudget",
    "this.plan.retryBudget"
  ),
  fault(
    "stack/Order.ts",
    "calls: an operation with its own timeout shares the breaker's idea of slow",
    `["attemptTimeout", "deadline"]`,
    `["deadline"]`
  ),
  fault(
    "policies/RateLimit/Lease.ts",
    "fleet: a lease takes fewer permits than a call needs",
    "Math.max(least, Math.floor(there))",
    "Math.floor(there)"
  ),
  fault(
    "caching/ResponseCache/Shelf.ts",
    "cache: eviction begins at the oldest entry every time",
    "this.hand === none ? table.oldest : this.hand",
    "table.oldest"
  ),
  fault(
    "transport/Redirect.ts",
    "redirects: a cancelled request still fails",
    "cancel(): void {\n    this.isOver = true",
    "cancel(): void {"
  ),
  fault(
    "structures/Keyed.ts",
    "keys: a cell that cannot rest keeps its place",
    "if (numbers === undefined) {\n        cell.placedAt = now",
    "if (numbers === undefined) {"
  ),
  fault(
    "structures/Keyed.ts",
    "keys: a spared cell keeps its place",
    "(!idle && spared)) {\n        cell.placedAt = now",
    "(!idle && spared)) {"
  ),
  fault(
    "structures/Keyed.ts",
    "keys: a cell that wakes has its old place",
    "cell.placedAt = now\n    this.resting.remove(slot)",
    "this.resting.remove(slot)"
  ),
  fault(
    "policies/RetryBudget.ts",
    "budget: retries are saved up without a limit",
    "Math.min(this.capacity, this.saved + earned + passed * this.perMilli)",
    "this.saved + earned + passed * this.perMilli"
  ),
  fault(
    "client/Contract/Answers.ts",
    "contract: a declared failure is an answer",
    "failureBehind(error, answer) ?? Exit.fail(error)",
    "Exit.fail(error)"
  ),
  fault(
    "client/Client.ts",
    "contract: a declared failure is not retried",
    "attempt.fail(meaning.reason, response?.quota, Exit.fail(meaning.error))",
    "attempt.answer(Exit.fail(meaning.error), response?.quota)"
  ),
  fault(
    "client/Client/Authenticated.ts",
    "credentials: a declared 401 renews nothing",
    "if (Exit.isExit(meaning)) return false\n  const reason",
    "if (Exit.isExit(meaning) || meaning._tag === \"Declared\") return false\n  const reason"
  ),
  fault(
    "client/Client/Conditional.ts",
    "cache: a declared error about the moment is cached",
    "isLasting(response.status) ? meaning : ResponseCache.passing(meaning.cause)",
    "meaning"
  ),
  fault(
    "caching/ResponseCache/Loads.ts",
    "cache: an error that is marked as passing is cached",
    " && !isPassing(exit.cause)",
    ""
  ),
  fault(
    "client/Answer.ts",
    "contract: a 403 is never a limit",
    "status === 429 || limitMillis !== undefined",
    "status === 429"
  ),
  fault(
    "client/Answer.ts",
    "contract: a quota without a rest is no limit",
    "retryAfterMillis ??\n      (quota !== undefined && quota.remaining <= 0 ? quota.resetMillis : undefined)",
    "retryAfterMillis"
  ),
  fault(
    "client/Client/Response.ts",
    "contract: a repeated failure is retried",
    "isReplayed(declaration.replayedHeader, response) ? repeated(meaning) : meaning",
    "meaning"
  ),
  fault(
    "client/Client/Response.ts",
    "contract: a repeated failure has its first time to come back",
    "isRetryable: false,\n    retryAfterMillis: undefined",
    "isRetryable: false"
  ),
  fault(
    "client/Contract/LocalTime.ts",
    "contract: a Date by a getter is decoded in the machine's zone",
    " || isDate(ast)",
    ""
  ),
  fault(
    "client/Contract.ts",
    "contract: an error's times are decoded in the machine's zone",
    "      refuseLocalTimes(id, errors)\n",
    ""
  ),
  fault(
    "client/Vendor.ts",
    "contract: an operation may cost more than its limit",
    "if (operation.cost > capacity) {",
    "if (operation.cost === Infinity) {"
  ),
  fault(
    "stack/Stack.ts",
    "calls: a call may cost more than its limit",
    "Range.atLeast(\"Stack: cost\", cost, 0) > capacity",
    "Range.atLeast(\"Stack: cost\", cost, 0) === Infinity"
  ),
  fault(
    "stack/Stack/OperationRing.ts",
    "calls: an error of another type hides what became of the call",
    "DeclaredFailure.carry(failed.exit, error)",
    "failed.exit"
  ),
  fault(
    "policies/RateLimit/RateLimitState.ts",
    "limits: a 503 with a time pauses nothing",
    "? reason.retryAfterMillis\n    : undefined",
    "? undefined\n    : undefined"
  ),
  fault(
    "policies/RateLimit/RateLimitState.ts",
    "limits: a response from before a pause lifts it",
    "    if (this.left === -Infinity && now < this.leftUntil) return\n    const until",
    "    const until"
  ),
  fault(
    "policies/RateLimit/RateLimitState.ts",
    "limits: a waiting call does not hear of a new window",
    "    if (mayBeSooner) this.callHead(now)\n",
    ""
  ),
  fault(
    "policies/RateLimit/RateLimitState.ts",
    "limits: a rest of one window rises",
    "    if (isSame && remaining > this.left) return\n",
    ""
  ),
  fault(
    "policies/RateLimit/RateLimitState.ts",
    "limits: permits given back are lost until the reset",
    "    if (report === this.report) this.left += call.cost\n",
    ""
  ),
  fault(
    "policies/RateLimit/RateLimitState.ts",
    "limits: a permit given back raises the rest that the vendor has reported since",
    "if (report === this.report) this.left",
    "this.left"
  ),
  fault(
    "policies/Breaker/Circuit.ts",
    "fleets: a process is kept away for good",
    "if (typeof consent === \"number\" && isKeptOut) this.probeFrom(0)\n    else if",
    "if"
  ),
  fault(
    "policies/Breaker/Circuit.ts",
    "fleets: one failure of its own is enough for a process to follow",
    "const isRecent = ",
    "const isRecent = this.failures === 0 && "
  ),
  fault(
    "fleet/FailOpen.ts",
    "fleets: a store that resists its interruption is waited for",
    "restore(Effect.raceFirst(Fiber.await(fiber), this.tooSlow))",
    "restore(Fiber.await(fiber))"
  ),
  fault(
    "stack/Stack/AttemptRing.ts",
    "evidence: an interruption by the caller says nothing",
    "label === \"interrupted\" && this.hadFairShare(this.now)",
    "this.hadFairShare(this.now) && false"
  ),
  fault(
    "policies/RateLimit/RateLimitState.ts",
    "limits: waiting calls leave a pause at once",
    "if (this.nextAt !== -Infinity) this.spread(call.now)",
    "this.nextAt = -Infinity"
  ),
  fault(
    "stack/Order.ts",
    "limits: no key hears its vendor by default",
    "fallback: () => ({}),\n      make: RateLimit.make",
    "fallback: () => false,\n      make: RateLimit.make"
  ),
  fault(
    "policies/RateLimit.ts",
    "limits: a key without a limit does not hear its vendor",
    "if (pauseOf(outcome) !== undefined) this.states",
    "if (outcome === undefined) this.states"
  ),
  fault(
    "policies/RateLimit.ts",
    "limits: a call waits for a place although the vendor holds it",
    "call.now + held > call.deadline ? refuse",
    "call.now + held === Infinity ? refuse"
  ),
  fault(
    "policies/RateLimit.ts",
    "fleet: a key without a limit asks the store",
    "this.shared === undefined && this.isLimited",
    "this.shared === undefined"
  ),
  fault(
    "transport/RetryAfter.ts",
    "limits: a Unix time is a number of seconds",
    "if (number <= 1e9) return number * 1_000",
    "if (number > 0) return number * 1_000"
  ),
  fault(
    "transport/RetryAfter.ts",
    "limits: a time that cannot be read is now",
    "export const floorMillis = 1_000",
    "export const floorMillis = 0"
  ),
  fault(
    "transport/AddressGuard.ts",
    "reach: a listed host may lead to a metadata service",
    "isPlain && !block.isMetadata && isIn",
    "isPlain && isIn"
  )
]

/** Faults of an answer that is kept: whose it is, how old it is, and who is told that it is gone. */
const ofAnswers: ReadonlyArray<Mutant> = [
  fault(
    "client/CachedOperation.ts",
    "answers: those of any account are found",
    "JSON.stringify([base, account, partition",
    "JSON.stringify([base, partition"
  ),
  fault(
    "client/CachedOperation.ts",
    "answers: those of any base URL are found",
    "JSON.stringify([base, account, partition",
    "JSON.stringify([account, partition"
  ),
  fault(
    "client/CachedOperation.ts",
    "answers: those to a secret are shared with other processes",
    "isPrivate: !account.isNamed",
    "isPrivate: false"
  ),
  fault(
    "client/CachedOperation.ts",
    "answers: one that another secret fetched is kept",
    "if (now?.id === account.id) return",
    "if (account.id !== \"\") return"
  ),
  fault(
    "client/Accounts.ts",
    "answers: those of the last secret are found without one",
    "problem?.problem === \"Unreachable\" ? known",
    "problem !== undefined ? known"
  ),
  fault(
    "client/Vendor.ts",
    "names: a sandbox shares the limits of its vendor",
    "Fleet.ofOrigin(baseUrl.origin)(Order.share(name, gates, gatesOf))",
    "Order.share(name, gates, gatesOf)"
  ),
  fault(
    "fleet/SharedState.ts",
    "names: deployments share their limits",
    "namespace === undefined ? fleet : under(fleet, namespace)",
    "fleet"
  ),
  fault(
    "caching/ResponseCache/SecondLevel.ts",
    "names: deployments share their answers",
    "store.namespace === undefined ? settings.prefix",
    "settings.prefix !== \"\" ? settings.prefix"
  ),
  fault(
    "caching/ResponseCache/SecondLevel.ts",
    "answers: an answer of the future is new",
    "if (at > now + aheadMillis) return undefined",
    ""
  ),
  fault(
    "caching/ResponseCache/SecondLevel.ts",
    "answers: one in flight elsewhere comes back after it was invalidated",
    "isGone ? Effect.void : this.clear(timeline)",
    "Effect.void"
  ),
  fault(
    "caching/ResponseCache/Loads.ts",
    "answers: one in flight is kept after its tag was invalidated",
    "this.flights.remove(flight) && flight.isCurrent(tags)",
    "this.flights.remove(flight)"
  ),
  fault(
    "caching/ResponseCache/Loads.ts",
    "answers: one on its way from the store is kept after it was invalidated",
    "!flight.isCurrent(shared.tags) || ",
    ""
  ),
  fault(
    "caching/ResponseCache/Loads.ts",
    "answers: one from a second cache is new",
    "- Duration.toMillis(Provenance.age(provenance))",
    ""
  ),
  fault(
    "caching/ResponseCache/Loads.ts",
    "leads: a process that ends keeps its own",
    "() => flight.giveUp() ?? Effect.void)\n      })",
    "() => Effect.void)\n      })"
  ),
  fault(
    "caching/ResponseCache/TwoLevels.ts",
    "answers: an age is checked when the call begins",
    "        visit.tick()\n",
    ""
  ),
  fault(
    "caching/ResponseCache/TwoLevels.ts",
    "deadlines: another process is waited for past them",
    "const dueAt = isLeftToCall() ? Infinity : visit.deadline",
    "const dueAt = Infinity"
  ),
  fault(
    "caching/ResponseCache/Flight.ts",
    "deadlines: a call is joined whose caller has less time",
    "return this.hasAllTime || this.deadline >= deadline",
    "return this.deadline > now || this.deadline >= deadline"
  ),
  fault(
    "caching/ResponseCache/Flight.ts",
    "priorities: a call is joined that will be shed first",
    "if (ranks[this.priority] < ranks[priority]) return false\n",
    ""
  ),
  fault(
    "caching/ResponseCache/Frozen.ts",
    "answers: only their first level is frozen",
    "parts.add(inner)",
    "void inner"
  ),
  fault(
    "client/Client/Conditional.ts",
    "answers: the validator of a 304 is lost",
    "notModified: true, fresh, validator, isKept",
    "notModified: true, fresh, isKept"
  ),
  fault(
    "Provenance.ts",
    "ages: a report inside another one keeps the age to itself",
    "      outside?.tell(provenance)\n",
    ""
  ),
  fault(
    "Timeline.ts",
    "ages: a clock that is set back makes them shorter",
    "behind > noticedMillis ? elapsed + behind : elapsed",
    "elapsed"
  ),
  fault(
    "credentials/RefreshingCredentials.ts",
    "ages: a secret does not age while the machine sleeps",
    "return this.timeline.elapsed()",
    "return this.timeline.now()"
  ),
  fault(
    "client/Client/Authenticated.ts",
    "ages: a refusal does not age while the machine sleeps",
    "Timeline.ofContext(this.attempt.context).elapsed()",
    "this.attempt.now"
  ),
  fault(
    "transport/Resolver.ts",
    "ages: an address stays for ever",
    "now < good.at + lifeMillis",
    "now >= good.at"
  )
]

/** Faults of what a client was built with: credentials, their refusals and revocation, and clients side by side. */
const ofClients: ReadonlyArray<Mutant> = [
  fault(
    "client/Secrets.ts",
    "credentials: a call reads those around it",
    "if (override === undefined) return this.own",
    "if (override === undefined) return new Holder(Context.get(caller, Credentials), this.own.refusals, undefined)"
  ),
  fault(
    "client/Secrets.ts",
    "credentials: a call reads them with the configuration around it",
    "Context.get(caller, ConfigProvider.ConfigProvider) === provider",
    "provider !== undefined"
  ),
  fault(
    "credentials/RefreshingCredentials.ts",
    "credentials: a cached source is asked with the configuration around a call",
    "Context.add(ConfigProvider.ConfigProvider, this.provider)",
    "(context) => context"
  ),
  fault(
    "client/Client.ts",
    "credentials: a caller with its own gets answers to those of the client",
    "(secrets !== undefined && fiber.getRef(Override) !== undefined)",
    "false"
  ),
  fault(
    "credentials/Source.ts",
    "credentials: a source may return anything",
    "Effect.catchDefect(Effect.map(asked, checked),",
    "Effect.catchDefect(asked,"
  ),
  fault(
    "credentials/Refusals.ts",
    "refusals: one operation's are those of all",
    "filter(isAboutTheSecret).length > 1",
    "filter(isAboutTheSecret).length > 0"
  ),
  fault(
    "credentials/Refusals.ts",
    "refusals: concurrent ones count each",
    "known.refusals === 0 || sentAt >= known.refusedAt",
    "true"
  ),
  fault(
    "credentials/Refusals.ts",
    "refusals: a secret that works for another operation dies for all",
    "for (const other of refused.operations.values()) other.isOwn = true",
    ""
  ),
  fault(
    "client/Client/Authenticated.ts",
    "revocation: a secret revoked during the wait for a permit is sent",
    "if (revocations.has(secret)) return",
    "if (revocations === undefined) return"
  ),
  fault(
    "client/Client/Authenticated.ts",
    "revocation: a request that was cut counts as not sent",
    "    attempt.cutOff(fate)\n",
    ""
  ),
  fault(
    "client/Client/Authenticated.ts",
    "revocation: an unsafe request that was cut is sent once more",
    "revoked === undefined || !mayRepeat(safety, fate)",
    "revoked === undefined"
  ),
  fault(
    "credentials/Revocations.ts",
    "revocation: requests in flight go on",
    "for (const request of cut) request.cut()",
    ""
  ),
  fault(
    "client/SharedGates.ts",
    "clients: each of two has limits of its own",
    "const known = byName.get(name) ?? []",
    "const known: ReadonlyArray<GateSet> = []"
  ),
  fault(
    "client/SharedGates.ts",
    "clients: a second one may have another limit",
    "gates[option] !== others[option]",
    "others === undefined"
  ),
  fault(
    "client/Vendor.ts",
    "clients: the first one takes the fleet along when it closes",
    "Scope.provide(Fleet.ofOrigin(baseUrl.origin)(Order.share(name, gates, gatesOf)), scope)",
    "Fleet.ofOrigin(baseUrl.origin)(Order.share(name, gates, gatesOf))"
  )
]

/** Faults of connections and of shared stores. */
const ofConnections: ReadonlyArray<Mutant> = [
  fault(
    "transport/UndiciTransport/Ages.ts",
    "connections: those that wait for an old one stay behind it",
    "pool[kDrainQueue](origin, [pool])",
    ""
  ),
  fault(
    "transport/Resolver.ts",
    "connections: a known name is lost with its name server",
    "return last ?? Effect.fail(failed.reason)",
    "return Effect.fail(failed.reason)"
  ),
  fault(
    "transport/ClientCertificate.ts",
    "connections: a renewed client certificate is not used",
    "good?.text !== text",
    "good === undefined"
  ),
  fault(
    "fleet/FailOpen.ts",
    "fleet: a read proves that a replica takes writes",
    "this.failing !== command",
    "this.failing === undefined"
  )
]

export const mutants = (): ReadonlyArray<Mutant> => [
  ...ofTables(),
  ...ofRules,
  ...ofSearch,
  ...ofCalls,
  ...ofServer,
  ...ofFaults,
  ...ofAnswers,
  ...ofClients,
  ...ofConnections
]
