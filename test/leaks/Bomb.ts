/**
 * Loaded into the demo server before it starts: ends it with what `BOMB` says when it is told to. What it throws is all
 * secrets, as errors of HTTP clients are that hold the request.
 */
import { bombs } from "./Bombs.ts"

process.once("SIGHUP", () => {
  const bomb = bombs[process.env["BOMB"] as keyof typeof bombs]
  // Outside of the handler, where nobody can catch it.
  setImmediate(() => bomb(process.env))
})
