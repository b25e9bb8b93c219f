/** The failure of a command: nothing was changed, and the issue is a sentence that can be printed. It holds no secret. */
import * as Data from "effect/Data"

export class Refused extends Data.TaggedError("Refused")<{ readonly command: string; readonly issue: string }> {}

/** Makes the refusals of one command. */
export const by = (command: string) => (issue: string): Refused => new Refused({ command, issue })
