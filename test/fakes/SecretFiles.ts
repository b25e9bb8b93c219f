/** A directory of secrets, written as Kubernetes, editors and shells do. */
import { Effect, type Scope } from "effect"
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A private directory until the scope ends. */
export const directory: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "breakwater-test-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/**
 * A volume of Kubernetes, as its AtomicWriter makes it (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go): the files are
 * links through `..data`, a link to a directory of its own for each version, which is exchanged by a rename; then the old
 * directory is removed.
 */
export const mounted = (root: string) => {
  let version = 0
  let current: string | undefined
  const names = new Set<string>()
  return {
    update(secrets: Readonly<Record<string, string>>): void {
      const next = `..2026_11_23_${++version}`
      mkdirSync(join(root, next), { recursive: true })
      for (const [name, value] of Object.entries(secrets)) {
        writeFileSync(join(root, next, name), value, { mode: 0o600 })
      }
      symlinkSync(next, join(root, "..data_tmp"))
      renameSync(join(root, "..data_tmp"), join(root, "..data"))
      for (const name of Object.keys(secrets)) {
        if (!names.has(name)) symlinkSync(join("..data", name), join(root, name))
        names.add(name)
      }
      for (const name of names) {
        if (name in secrets) continue
        unlinkSync(join(root, name))
        names.delete(name)
      }
      if (current !== undefined) rmSync(join(root, current), { recursive: true })
      current = next
    }
  }
}

/** Ways to change a file. */
export const ways: ReadonlyArray<readonly [name: string, change: (path: string, text: string | Uint8Array) => void]> = [
  ["written over in place", (path, text) => writeFileSync(path, text, { mode: 0o600 })],
  ["replaced by a rename", (path, text) => {
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }],
  ["moved away by an editor and written anew", (path, text) => {
    renameSync(path, `${path}~`)
    writeFileSync(path, text, { mode: 0o600 })
  }],
  ["taken away and written anew", (path, text) => {
    unlinkSync(path)
    writeFileSync(path, text, { mode: 0o600 })
  }]
]
