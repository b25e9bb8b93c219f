import { defineConfig } from "vitest/config"
import { isAtLeast } from "./test/setup/Effort.ts"

/** Packs, and installs from the registry: a minute, and a network. */
const slow = isAtLeast("ci") ? [] : ["test/consumer/**"]

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...slow],
    testTimeout: 30_000,
    setupFiles: ["./test/setup/CpuSeconds.ts"],
    reporters: ["default", ["./scripts/reporter.ts", {}]]
  }
})
