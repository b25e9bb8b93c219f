/** Node keeps compiled modules here from one process to the next: loading them is most of what a process costs. */
import { fileURLToPath } from "node:url"

export const environment = {
  NODE_COMPILE_CACHE: fileURLToPath(new URL("../node_modules/.cache/compiled", import.meta.url))
}
