/**
 * `node scripts/checkPublished.ts`: packs core, vendors and the command, and checks the tarballs with publint and
 * attw: every entry point must exist, have types, and resolve alike in TypeScript and Node.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { pack } from "./pack.ts"
import { installed, run } from "./run.ts"

export const check = (tarballs: ReadonlyArray<string>): void => {
  for (const tarball of tarballs) {
    run(installed("publint"), ["run", tarball, "--strict"])
    // The command has no entry point to import.
    if (!tarball.includes("breakwater-cli-")) run(installed("attw"), [tarball, "--profile", "esm-only", "--no-emoji"])
    console.log(`${basename(tarball)}: nothing wrong`)
  }
}

if (import.meta.main) {
  const directory = mkdtempSync(join(tmpdir(), "breakwater-packed-"))
  try {
    check(await pack(directory))
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
