/**
 * The steps of a client. Each takes a request, passes it on, perhaps changed, and receives the meaning of its response.
 * A step wraps the next one, so {@link Step} is the only type between them.
 */
import type * as Exit from "effect/Exit"
import type { Reason } from "../../Reason.ts"
import type { Attempt } from "../../stack/Leaf.ts"
import type { Declared } from "../Answer.ts"
import type { Request } from "./Request.ts"
import type { Response } from "./Response.ts"

/** The meaning of a response: the answer or the failure that the contract declares, or the reason why it is neither. */
export type Meaning = Exit.Exit<unknown, unknown> | Declared | Reason

/** Ends a request; `response` is absent if none came. */
export type Settle = (meaning: Meaning, response?: Response) => void

/**
 * Makes a request for an attempt, and returns a function that cancels it. Calls `settle` once, unless it is cancelled.
 */
export type Step = (request: Request, attempt: Attempt<unknown, unknown>, settle: Settle) => () => void
