/**
 * Loaded into the demo server before it starts: mistakes of ours, met by whoever asks for the payment `pay_flaw`, and, when
 * `FLAW` says so, by the server itself when it is to listen.
 */
import { Server } from "node:net"
import { failure } from "./Bombs.ts"

const from = Buffer.from.bind(Buffer) as (...given: ReadonlyArray<unknown>) => Buffer
Buffer.from = ((...given: ReadonlyArray<unknown>) => {
  if (given[0] === "flaw") throw failure(process.env)
  return from(...given)
}) as typeof Buffer.from

if (process.env["FLAW"] === "listen") {
  Server.prototype.listen = () => {
    throw failure(process.env)
  }
}
