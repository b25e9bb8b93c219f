import "effect/schema/SchemaJITCompiler/enable"
/** The same calls with schemas compiled, which is one import at the start of a program. */
import { measure } from "../http/measure.ts"
import type { Suite } from "../Suite.ts"

export const suite: Suite = {
  title: "HTTP, schemas compiled",
  about:
    "As above, in a program that begins with `import \"effect/schema/SchemaJITCompiler/enable\"`: Effect then compiles each " +
    "schema by `new Function`, ours and those of its own clients.",
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
