/** A programmer's mistake, which throws at construction. */
import { Stack } from "@breakwater/core/guard"

Stack.make({
  vendor: "acme",
  operation: "ring",
  safety: "Idempotent",
  policy: { attemptTimeout: "20 seconds", deadline: "10 seconds" }
})
