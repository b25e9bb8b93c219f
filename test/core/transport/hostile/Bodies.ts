import { InvalidResponse, ResponseTooLarge, Unavailable } from "@breakwater/core/VendorError"
import { answer, answering, flooding, ok, type Row, type Section } from "./Row.ts"

const latin1 = (bytes: Buffer) => bytes.toString("latin1")
const utf8 = (text: string) => latin1(Buffer.from(text, "utf8"))

const tooLarge = new ResponseTooLarge(64 * 1024)
const invalid = (issue: string) => new InvalidResponse(200, issue)
const notJson = invalid("Expected a JSON body")

/** A well-framed response with this body, for the decoder to judge. */
const body = (does: string, text: string, gets: Row["gets"], type = "application/json"): Row => ({
  does,
  server: answering(answer(text, [`content-type: ${type}`])),
  gets,
  connection: "kept"
})

export const bodies: Section = {
  title: "Bodies",
  rows: [
    {
      does: "sends chunks that never end",
      server: flooding(`${ok}transfer-encoding: chunked\r\n\r\n`, "5\r\nhello\r\n"),
      gets: tooLarge,
      isLarge: true
    },
    {
      does: "sends a body without a length that never ends",
      server: flooding(`${ok}\r\n`, "hello"),
      gets: tooLarge,
      isLarge: true
    },
    {
      does: "declares a length that is too large, and sends it",
      server: flooding(`${ok}content-length: 99999999\r\n\r\n`, "hello"),
      gets: tooLarge,
      isLarge: true
    },
    {
      does: "declares a length that is too large, and sends nothing",
      server: answering(`${ok}content-length: 65537\r\n\r\n`),
      gets: tooLarge
    },
    {
      does: "sends an HTML page with status 200",
      server: answering(answer("<!doctype html><title>Sign in</title>", ["content-type: text/html"])),
      gets: notJson,
      connection: "kept"
    },
    {
      does: "sends an HTML page with status 502",
      server: answering(answer("<h1>Bad Gateway</h1>", ["content-type: text/html"], "502 Bad Gateway")),
      gets: new Unavailable(502),
      connection: "kept"
    },
    body("sends XML", "<name>anvil</name>", notJson, "application/xml"),
    body("sends an empty body", "", notJson),
    body("sends only whitespace", " \r\n\t ", notJson),
    body("puts a byte order mark before its JSON", utf8("\uFEFF{\"name\":\"anvil\"}"), { name: "anvil" }),
    body("sends bytes that are not UTF-8", "{\"name\":\"an\xffvil\"}", notJson),
    body("sends UTF-8 that is cut in the middle of a character", `${utf8("{\"name\":\"ü").slice(0, -1)}"}`, notJson),
    body("hides a quote in overlong UTF-8", "{\"name\":\"an\xc0\xa2vil\"}", notJson),
    body("sends Latin-1, as declared", "{\"name\":\"\xfc\"}", { name: "ü" }, "application/json; charset=iso-8859-1"),
    body("sends UTF-16", latin1(Buffer.from("{\"name\":\"anvil\"}", "utf16le")), notJson),
    body("declares its JSON as text/plain", "{\"name\":\"anvil\"}", { name: "anvil" }, "text/plain"),
    body("repeats a key, of which the last counts", "{\"name\":\"anvil\",\"name\":\"evil\"}", { name: "evil" }),
    body(
      "sends a __proto__ that would name every object",
      "{\"__proto__\":{\"name\":\"evil\"}}",
      invalid("Missing key at [\"name\"]")
    ),
    body(
      "sends a constructor.prototype that would name every object",
      "{\"constructor\":{\"prototype\":{\"name\":\"evil\"}}}",
      invalid("Missing key at [\"name\"]")
    ),
    body("sends more keys than the contract declares", "{\"name\":\"anvil\",\"isAdmin\":true}", { name: "anvil" }),
    body(
      "nests arrays 30 000 deep",
      "[".repeat(30_000) + "]".repeat(30_000),
      invalid("Expected object")
    ),
    body(
      "nests objects 10 000 deep in place of a string",
      `{"name":${"{\"a\":".repeat(10_000)}1${"}".repeat(10_000)}}`,
      invalid("Expected string at [\"name\"]")
    ),
    body("opens arrays and closes none", "[".repeat(60_000), notJson),
    body("sends a number beyond all numbers", "{\"name\":1e999}", invalid("Expected string at [\"name\"]")),
    body("sends a number of 60 000 digits", `{"name":${"9".repeat(60_000)}}`, invalid("Expected string at [\"name\"]")),
    body("sends NaN, which is not JSON", "{\"name\":NaN}", notJson),
    body("sends an escaped half of a surrogate pair", "{\"name\":\"\\ud800\"}", { name: "\ud800" }),
    body("sends an escaped zero byte", "{\"name\":\"a\\u0000b\"}", { name: "a\u0000b" }),
    body("sends text after its JSON", "{\"name\":\"anvil\"} and more", notJson),
    body("sends two documents", "{\"name\":\"anvil\"}\n{\"name\":\"evil\"}", notJson),
    body("puts a comment and a comma into its JSON", "{\"name\":\"anvil\",/*hm*/}", notJson),
    body("cuts its JSON, and declares the length of the part", "{\"name\":\"anv", notJson),
    body("sends null", "null", invalid("Expected object")),
    body("sends a list", "[{\"name\":\"anvil\"}]", invalid("Expected object")),
    body("sends a number for a name", "{\"name\":7}", invalid("Expected string at [\"name\"]")),
    body("fills the body with spaces up to the limit", `{"name":"anvil"}${" ".repeat(64 * 1024 - 16)}`, {
      name: "anvil"
    })
  ]
}
