/** The facts about an operation's calls that do not change from call to call. */
import type { Gate } from "../../Gate.ts"
import type { Hedge } from "../../policies/Hedge.ts"
import type { RetrySchedule } from "../../policies/Retry.ts"
import type { RetryBudget } from "../../policies/RetryBudget.ts"
import type { Phase } from "../../Reason.ts"
import type { Safety } from "../../Safety.ts"
import type { OperationMeter } from "../../Telemetry.ts"
import type { Attributes } from "../Trace.ts"

export interface Plan {
  readonly vendor: string
  readonly operation: string
  readonly scope: string
  readonly safety: Safety
  readonly deadlineMillis: number
  readonly attemptMillis: number
  /** The limit of each phase, within that of the attempt. */
  readonly phaseMillis: Readonly<Record<Phase, number>>
  /** The limit between two pieces of the body. */
  readonly bodyIdleMillis: number
  readonly retry: RetrySchedule | undefined
  /** Pays for retries and hedges. */
  readonly retryBudget: RetryBudget | undefined
  readonly hedge: Hedge | undefined
  /** Run once per call, outermost first. */
  readonly operationGates: ReadonlyArray<Gate>
  /** Run once per attempt, outermost first. */
  readonly attemptGates: ReadonlyArray<Gate>
  /** Those of them that each further request of an attempt passes as well: after a new secret, after a redirect. */
  readonly requestGates: ReadonlyArray<Gate>
  readonly meter: OperationMeter | undefined
  /** The name and attributes of an operation's span. */
  readonly operationSpanName: string
  readonly operationSpanAttributes: Attributes
  /** The name and attributes of an attempt's span. */
  readonly spanName: string
  readonly spanAttributes: Attributes
}
