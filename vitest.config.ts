import { defineConfig } from "vitest/config"
import { leftOut } from "./test/setup/Tiers.ts"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...leftOut],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    setupFiles: ["./test/setup/CpuSeconds.ts"],
    reporters: ["default", ["./scripts/reporter.ts", {}]]
  }
})
