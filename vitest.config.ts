import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { isAtLeast } from "./test/setup/Effort.ts"
import { leftOut } from "./test/setup/Tiers.ts"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...leftOut],
    // Many files wait more than they work: a few more than there are cores overlap their waiting.
    maxWorkers: Math.max(3, availableParallelism()),
    // A process for each file takes 40 % of the CPU of a quick run. The later tiers have it, and find what one file leaves to the next.
    isolate: isAtLeast("check"),
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ["./test/setup/CpuSeconds.ts"],
    reporters: ["default", ["./scripts/reporter.ts", {}]]
  }
})
