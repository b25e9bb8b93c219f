import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { leftOut } from "./test/setup/Tiers.ts"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...leftOut],
    // Many files wait more than they work: a few more than there are cores overlap their waiting.
    maxWorkers: Math.max(3, availableParallelism()),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ["./test/setup/CpuSeconds.ts"],
    reporters: ["default", ["./scripts/reporter.ts", {}]]
  }
})
