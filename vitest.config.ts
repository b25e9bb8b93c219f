import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    testTimeout: 30_000,
    setupFiles: ["./test/setup/CpuSeconds.ts"],
    reporters: ["default", ["./scripts/reporter.ts", {}]]
  }
})
