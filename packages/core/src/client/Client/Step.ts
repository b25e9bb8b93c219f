/**
 * The steps of a client: each takes a request, passes it on, perhaps changed, and hears what its response means. A step
 * wraps the next one, so that {@link Step} is the only type between them.
 */
import type * as Exit from "effect/Exit"
import type { Reason } from "../../Reason.ts"
import type { Attempt } from "../../stack/Leaf.ts"
import type { Request } from "./Request.ts"
import type { Response } from "./Response.ts"

/** What a response means: the answer that the contract declares, or the reason why there is none. */
export type Meaning = Exit.Exit<unknown, unknown> | Reason

/** Hears how a request ended; `response` is absent when none came. */
export type Settle = (meaning: Meaning, response?: Response) => void

/** Makes a request for an attempt, and returns how to cancel it. `settle` is called once, unless it is cancelled. */
export type Step = (request: Request, attempt: Attempt<unknown, unknown>, settle: Settle) => () => void
