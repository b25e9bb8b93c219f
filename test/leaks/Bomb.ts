/**
 * Loaded into the demo server before it starts. On command it crashes the server with the error that `BOMB` names. The
 * error is full of secrets, like errors of HTTP clients that hold the request.
 */
import { bombs } from "./Bombs.ts"

process.once("SIGHUP", () => {
  const bomb = bombs[process.env["BOMB"] as keyof typeof bombs]
  // Outside of the handler, where no code can catch it.
  setImmediate(() => bomb(process.env))
})
