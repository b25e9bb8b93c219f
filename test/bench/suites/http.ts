/** Cost of a guarded call over HTTP, against the peers. */
import { type Load, measure } from "../http/measure.ts"
import type { Suite } from "../Suite.ts"

const bars: Readonly<Record<string, number>> = {
  "undici": 1.3,
  "Effect HttpClient, composed": 0.4,
  "axios, axios-retry, opossum": 1 / 3,
  "got": 1 / 3
}

const loads: ReadonlyArray<Load> = [
  { kind: "small", atOnce: 64, says: "1 KB, 64 at once", bars },
  { kind: "small", atOnce: 1, says: "1 KB, one at a time" },
  { kind: "small", atOnce: 512, says: "1 KB, 512 at once" },
  { kind: "smallWait", atOnce: 64, says: "1 KB after 1 ms, 64 at once" },
  { kind: "large", atOnce: 64, says: "100 KB, 64 at once" }
]

export const suite: Suite = {
  title: "HTTP",
  about:
    "Guarded, decoded JSON calls over loopback to a server in another process, in CPU time of the main thread for each. " +
    "Ours, the composed Effect client and HttpApiClient check the answer against its schema; all others parse it. Our schemas " +
    "are compiled to code. Those of Effect are compiled only if the program enables it: see below.",
  run: ({ quick }) => measure(loads, () => true, quick)
}
