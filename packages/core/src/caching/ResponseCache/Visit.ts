/** One lookup by one caller: its clock, its deadline, and the answers it accepts. */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import { Deadline } from "../../Deadline.ts"
import { Priority } from "../../Priority.ts"
import * as Provenance from "../../Provenance.ts"
import * as Timeline from "../../Timeline.ts"
import type { LookupOptions } from "../ResponseCache.ts"
import type { Terms } from "./Flight.ts"

export class Visit implements Terms {
  /** The context of the calling fibre, which may be gone when the answer comes. */
  readonly context: Context.Context<never>
  readonly timeline: Timeline.Timeline
  /** The elapsed time of the timeline, by which answers age. */
  now: number
  private readonly deadlineMillis: number
  private readonly options: LookupOptions<unknown> | undefined
  private readonly acceptance: Provenance.Acceptance | undefined
  /** When the operation's own time ends. A hit does not ask for it, so it is determined at the first miss. */
  private endsAt: number | undefined = undefined

  constructor(
    fiber: Fiber.Fiber<unknown, unknown>,
    deadlineMillis: number,
    options: LookupOptions<unknown> | undefined
  ) {
    this.deadlineMillis = deadlineMillis
    this.options = options
    this.context = fiber.context
    this.timeline = Timeline.of(fiber)
    this.now = this.timeline.elapsed()
    this.acceptance = fiber.getRef(Provenance.Acceptance)
  }
  /** Reads the time anew. */
  tick(): void {
    this.now = this.timeline.elapsed()
  }
  get deadline(): number {
    return Math.min(this.inherited, this.ownDeadline)
  }
  get hasAllTime(): boolean {
    return this.inherited >= this.ownDeadline
  }
  private get inherited(): number {
    return Context.get(this.context, Deadline)
  }
  private get ownDeadline(): number {
    return this.endsAt ??= this.timeline.now() + this.deadlineMillis
  }
  get priority(): Priority {
    return Context.get(this.context, Priority)
  }
  /** Whether the answer is for this process alone. */
  get isPrivate(): boolean {
    return this.options?.isPrivate === true
  }
  /** Decides about answers from other processes. */
  trusts(value: unknown): boolean {
    try {
      return this.options?.trusts?.(value) !== false
    } catch {
      return false
    }
  }
  /** Whether the caller wants the provenance. */
  get isTold(): boolean {
    return this.acceptance !== undefined
  }
  accepts(ageMillis: number, isFresh: boolean): boolean {
    const maxAgeMillis = this.acceptance?.maxAgeMillis
    return maxAgeMillis === undefined ? isFresh : ageMillis <= maxAgeMillis
  }
  tell(provenance: Provenance.Provenance): void {
    this.acceptance?.tell(provenance)
  }
}
