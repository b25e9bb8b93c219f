import "effect/schema/SchemaJITCompiler/enable"
/** The same calls with all schemas compiled, which takes one import at the start of a program. */
import { measure } from "../http/measure.ts"
import type { Suite } from "../Suite.ts"

export const suite: Suite = {
  title: "HTTP, all schemas compiled",
  about:
    "As above, in a program that begins with `import \"effect/schema/SchemaJITCompiler/enable\"`: Effect then compiles the " +
    "schemas of its own clients as well, as ours always are.",
  run: ({ quick }) =>
    measure(
      [
        { kind: "small", atOnce: 64, says: "1 KB, 64 at once" },
        { kind: "large", atOnce: 64, says: "100 KB, 64 at once" }
      ],
      ({ name }) => ["Breakwater", "undici", "Effect HttpClient, composed", "Effect HttpApiClient"].includes(name),
      quick
    )
}
