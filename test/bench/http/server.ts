/** The vendor of the HTTP bench, in a process of its own: JSON of 1 KB and of 100 KB, at once or after a millisecond. */
import { createServer } from "node:http"

const rate = (index: number) => ({
  id: index,
  base: "EUR",
  quote: "USD",
  rate: 1.0842 + index / 1_000,
  asOf: "2026-11-20",
  source: "central bank"
})
const answer = (count: number) =>
  Buffer.from(JSON.stringify({ rates: Array.from({ length: count }, (_, i) => rate(i)) }))
const answers: Readonly<Record<string, Buffer>> = { "/small": answer(11), "/large": answer(1_050) }

const server = createServer({ keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
  const [path = "", query] = (incoming.url ?? "").split("?")
  const body = answers[path]
  const send = () =>
    body === undefined
      ? outgoing.writeHead(404).end()
      : outgoing.writeHead(200, { "content-type": "application/json", "content-length": body.length }).end(body)
  if (query === undefined) send()
  else setTimeout(send, 1)
})
server.listen(0, "127.0.0.1", () => {
  const address = server.address()
  process.send?.(typeof address === "object" && address !== null ? address.port : 0)
})
process.on("disconnect", () => process.exit(0))
