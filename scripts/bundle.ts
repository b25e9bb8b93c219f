/**
 * Bundles what is published of core. Node takes about half a millisecond for every module it loads, however small, and a
 * guarded call needs fifty of ours: they are one file of the package, and each of the others stays a file.
 */
import { globSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const core = fileURLToPath(new URL("../packages/core/", import.meta.url))

const bundle = await rolldown({
  cwd: core,
  input: Object.fromEntries(
    globSync("src/**/*.ts", { cwd: core }).map((file) => [file.slice("src/".length, -".ts".length), `${core}${file}`])
  ),
  platform: "node",
  // What is not ours is whoever installs the package's.
  external: (id) => !id.startsWith(".") && !id.startsWith("/")
})
await bundle.write({
  dir: `${core}dist/bundle`,
  cleanDir: true,
  format: "esm",
  sourcemap: true,
  // Names stay as they are, in stack traces above all; what goes is what the engine would only skip.
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  entryFileNames: "[name].js",
  chunkFileNames: "shared/[name].js",
  codeSplitting: { groups: [{ name: "guard", test: /\/core\/src\/stack\/Stack\.ts$/ }] }
})
await bundle.close()
