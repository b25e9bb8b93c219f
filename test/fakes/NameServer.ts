/** A name server over UDP (RFC 1035) that answers by a script, for addresses alone. */
import { Effect, type Scope } from "effect"
import { createSocket } from "node:dgram"

/** The IPv4 addresses of a name; none for a name that has no address, or is unknown; or it fails, or does not answer. */
export type Answer = ReadonlyArray<string> | "unknown" | "failure" | "silence"

export interface NameServer {
  /** As an option of the resolver. */
  readonly address: string
  /** The names that were asked for, once for each lookup. */
  readonly asked: ReadonlyArray<string>
}

/** Answers at a free port of this machine until the scope ends. */
export const serve = (
  script: (name: string, isIpv4: boolean) => Answer
): Effect.Effect<NameServer, never, Scope.Scope> =>
  Effect.gen(function*() {
    const asked: Array<string> = []
    const socket = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createSocket>>((resume) => {
        const socket = createSocket("udp4")
        socket.bind(0, "127.0.0.1", () => resume(Effect.succeed(socket)))
      }),
      (socket) =>
        Effect.callback<void>((resume) => {
          socket.close(() => resume(Effect.void))
        })
    )
    socket.on("message", (query, { address, port }) => {
      const { end, isIpv4, name } = questionOf(query)
      if (isIpv4) asked.push(name)
      const answer = script(name, isIpv4)
      if (answer !== "silence") socket.send(responseTo(query, end, answer, isIpv4), port, address)
    })
    return { address: `127.0.0.1:${socket.address().port}`, asked }
  })

/** The question behind the header of 12 bytes. */
const questionOf = (query: Buffer) => {
  const labels: Array<string> = []
  let at = 12
  for (let size = query[at]!; size > 0; size = query[at]!) {
    labels.push(query.toString("latin1", at + 1, at + 1 + size))
    at += 1 + size
  }
  return { name: labels.join("."), isIpv4: query.readUInt16BE(at + 1) === 1, end: at + 5 }
}

const responseTo = (query: Buffer, end: number, answer: Exclude<Answer, "silence">, isIpv4: boolean): Buffer => {
  const addresses = typeof answer === "string" || !isIpv4 ? [] : answer
  const code = answer === "unknown" ? 3 : answer === "failure" ? 2 : 0
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(0x81_80 | code, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(addresses.length, 6)
  // The name of the question, type A, class IN, a lifetime of 30 seconds, 4 bytes.
  const records = addresses.map((address) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, ...address.split(".").map(Number)])
  )
  return Buffer.concat([header, query.subarray(12, end), ...records])
}
