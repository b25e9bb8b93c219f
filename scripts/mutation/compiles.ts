/** Type-checks a changed source of core in a copy of it, with the settings of the project. */
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { read, root } from "./mutants.ts"

export interface Checker extends Disposable {
  /** Whether the project compiles with this change of one source. */
  readonly compiles: (file: string, source: string) => boolean
}

export const checker = (): Checker => {
  const folder = mkdtempSync(join(tmpdir(), "checked-"))
  const core = join(folder, "packages/core")
  mkdirSync(core, { recursive: true })
  for (const file of ["tsconfig.base.json", "packages/core/tsconfig.json", "packages/core/package.json"]) {
    cpSync(root + file, join(folder, file))
  }
  cpSync(join(root, "packages/core/src"), join(core, "src"), { recursive: true })
  for (const modules of ["node_modules", "packages/core/node_modules"]) {
    symlinkSync(root + modules, join(folder, modules), "junction")
  }
  return {
    compiles: (file, source) => {
      writeFileSync(join(folder, file), source)
      const { error, status } = spawnSync(join(root, "node_modules/.bin/tsc"), ["-p", core, "--noEmit"])
      writeFileSync(join(folder, file), read(file))
      if (error !== undefined) throw error
      return status === 0
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true })
  }
}
