/**
 * The time that a test waits for an event that does come, however busy the machine is. It bounds nothing that is tested: it
 * turns what hangs into a failure. Half of what the runner gives to a test.
 */
import { Duration } from "effect"

export const patience: Duration.Duration = Duration.minutes(5)
