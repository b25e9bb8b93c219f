/**
 * Help and mistakes in the words of a command line. Requested help is printed to standard output, a mistake with the help of
 * its command to standard error. A mistake is named without the words that were typed: one of them may be a secret.
 */
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Console from "effect/Console"
import type * as Layer from "effect/Layer"

const formatter = CliOutput.defaultFormatter({ colors: false })

/** The name of a flag or an argument in these is one that a command declares; every other word was typed. */
const mistakeOf = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return "a flag is unknown"
    case "DuplicateOption":
      return "two flags have the same name"
    case "MissingOption":
      return `the flag --${error.option} is missing`
    case "MissingArgument":
      return `the argument ${error.argument} is missing`
    case "UnexpectedArgument":
      return "there is an argument too many"
    case "InvalidValue":
      return `the value of ${error.option} is not valid`
    case "UnknownSubcommand":
      return "the command is unknown"
    case "ValidationError":
    case "UserError":
      return "an argument is not valid"
  }
}

export const layer: Layer.Layer<never> = CliOutput.layerPresenter({
  present: (event) => {
    switch (event._tag) {
      case "Version":
        return Console.log(event.version)
      case "Help":
        return event.reason === "Requested"
          ? Console.log(formatter.formatHelpDoc(event.helpDoc))
          : Console.error(formatter.formatHelpDoc(event.helpDoc))
      case "InvalidInvocation": {
        const mistakes = event.errors.map((error) => `${event.commandPath.join(" ")}: ${mistakeOf(error)}`)
        return Console.error(`${formatter.formatHelpDoc(event.helpDoc)}\n\n${mistakes.join("\n")}`)
      }
    }
  }
})
