import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { apart } from "./test/setup/Apart.ts"
import { isAtLeast } from "./test/setup/Effort.ts"
import { leftOut } from "./test/setup/Tiers.ts"

const exclude = ["**/node_modules/**", ...leftOut]

export default defineConfig({
  test: {
    // Many files wait more than they work: a few more than there are cores overlap their waiting.
    maxWorkers: Math.max(3, availableParallelism()),
    // What hangs fails; see test/watches/Patience.ts.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    setupFiles: ["./test/setup/CpuSeconds.ts"],
    reporters: ["default", ["./scripts/reporter.ts", {}]],
    projects: [
      {
        extends: true,
        test: {
          name: "shared",
          include: ["test/**/*.test.ts"],
          exclude: [...exclude, ...apart],
          // A process for each file takes half of the CPU of a quick run. The later tiers have it.
          isolate: isAtLeast("check")
        }
      },
      { extends: true, test: { name: "apart", include: [...apart], exclude } }
    ]
  }
})
