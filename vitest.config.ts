import { defineConfig } from "vitest/config"

/** Packing and installing takes minutes: `.ci/run` and `npm run release` ask for it. */
const slow = process.env["CONSUMER"] === "1" ? [] : ["test/consumer/**"]

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["**/node_modules/**", ...slow],
    testTimeout: 30_000,
    setupFiles: ["./test/setup/CpuSeconds.ts"],
    reporters: ["default", ["./scripts/reporter.ts", {}]]
  }
})
