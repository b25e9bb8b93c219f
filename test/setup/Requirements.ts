/**
 * Servers that tests use where they are installed. Without one its tests are skipped, unless `REQUIRE` names it, as in
 * `REQUIRE=redis,chromium`: then its absence is a failure.
 */
import { spawnSync } from "node:child_process"

export type Server = "redis" | "chromium"

const servers: ReadonlySet<string> = new Set<Server>(["redis", "chromium"])

/** The names in `REQUIRE`. Throws for one that no test uses. */
const required = (list: string): ReadonlySet<string> => {
  const names = list.split(",").map((name) => name.trim()).filter((name) => name !== "")
  const unknown = names.filter((name) => !servers.has(name))
  if (unknown.length > 0) throw new Error(`REQUIRE must name ${[...servers].join(", ")}, got ${unknown.join(", ")}`)
  return new Set(names)
}

/** Whether the server is installed. Throws when it is not and the list requires it. */
export const isInstalled = (server: Server, program: string, list = process.env["REQUIRE"] ?? ""): boolean => {
  if (spawnSync(program, ["--version"]).status === 0) return true
  if (required(list).has(server)) throw new Error(`REQUIRE names ${server}, and ${program} is not installed`)
  console.log(`skipped: ${program} not found`)
  return false
}
