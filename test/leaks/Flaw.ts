/**
 * Loaded into the demo server before it starts: bugs in our own code. A request for the payment `pay_flaw` meets one, and
 * with `FLAW` the server meets one when it starts to listen.
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
