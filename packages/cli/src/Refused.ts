/** The failure of a command that changed nothing. Its issue is a printable sentence without secrets. */
import * as Data from "effect/Data"

export class Refused extends Data.TaggedError("Refused")<{ readonly command: string; readonly issue: string }> {}

/** Makes the failures of one command. */
export const by = (command: string) => (issue: string): Refused => new Refused({ command, issue })
