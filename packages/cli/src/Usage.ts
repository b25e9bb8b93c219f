/**
 * Prints help and usage errors. Requested help goes to standard output; an error goes to standard error, with the help
 * of its command. An error does not repeat the typed words, because one of them may be a secret.
 */
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Console from "effect/Console"
import type * as Layer from "effect/Layer"

const formatter = CliOutput.defaultFormatter({ colors: false })

/** The names of flags and arguments in these messages are declared by a command; all other words were typed. */
const mistakeOf = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return "unknown flag"
    case "DuplicateOption":
      return "two flags have the same name"
    case "MissingOption":
      return `the flag --${error.option} is missing`
    case "MissingArgument":
      return `the argument ${error.argument} is missing`
    case "UnexpectedArgument":
      return "too many arguments"
    case "InvalidValue":
      return `invalid value of ${error.option}`
    case "UnknownSubcommand":
      return "unknown command"
    case "ValidationError":
    case "UserError":
      return "invalid argument"
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
