/**
 * The services that `effect/cli` requires of a platform. Its parser uses none of them for our arguments and flags, so
 * they are empty, and the command needs no package besides `effect`. Commands read files and start processes with
 * `node:`.
 */
import * as CliConfig from "effect/cli/CliConfig"
import type * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"

const absent = Effect.die(new Error("a command used a missing service: add it in Platform.ts"))

export const layer: Layer.Layer<Command.Environment> = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(100),
      rows: Effect.succeed(24),
      size: absent,
      readInput: absent,
      readLine: absent,
      display: () => absent
    })
  ),
  Layer.succeed(ChildProcessSpawner.ChildProcessSpawner, ChildProcessSpawner.make(() => absent)),
  // Without the wizard, which prompts on the terminal, and without a log level, because no command writes logs.
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
)
