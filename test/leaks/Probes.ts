/** All parts of the leak test, cheapest first. Each returns its leaks. */
import { Effect } from "effect"
import { crash, demo } from "./Demo.ts"
import { recordings } from "./Recordings.ts"
import { rules } from "./Rules.ts"
import { start } from "./Start.ts"
import { wire } from "./Wire.ts"

export type Probe = "rules" | "start" | "recordings" | "wire" | "demo" | "crash"
export type Probes = Readonly<Record<Probe, Effect.Effect<ReadonlyArray<string>>>>

export const probes: Probes = {
  rules: Effect.sync(rules),
  start,
  recordings,
  wire,
  demo,
  crash
}
