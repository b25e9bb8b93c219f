/** All parts of the leak test, cheapest first; each gives what has leaked. */
import { Effect } from "effect"
import { crash, demo } from "./demo.ts"
import { recordings } from "./recordings.ts"
import { rules } from "./rules.ts"
import { start } from "./start.ts"
import { wire } from "./wire.ts"

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
