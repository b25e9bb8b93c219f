/**
 * The accounts behind the secrets of a client's calls. An account is a part of the identity of a cached answer, so that
 * no caller gets an answer that was fetched with another one's secret.
 *
 * Credentials may name it (`Credentials.account`). Without a name, the secret itself is the identity, by a digest that
 * only this process can make: such answers are not shared with other processes, where a digest could be used to guess
 * the secret.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { hash, randomUUID } from "node:crypto"
import type { CredentialUnavailable } from "../Reason.ts"
import { SingleFlight } from "../structures/SingleFlight.ts"
import type { Timeline } from "../Timeline.ts"
import type { Secrets } from "./Secrets.ts"

export interface Account {
  readonly id: string
  /** Whether the account has the same id in every process. */
  readonly isNamed: boolean
}

/** The only account of a vendor whose requests carry no credential. */
export const none: Account = { id: "", isNamed: true }

type ReadExit = Exit.Exit<Redacted.Redacted, CredentialUnavailable>

/** The most keys whose last account is remembered; beyond it the oldest is forgotten. */
const maxKeys = 10_000

/** A random key for the digests of secrets, so nobody can test guessed secrets against them. */
const pepper = randomUUID()

/** The accounts of one vendor. */
export class Accounts {
  private readonly vendor: string
  private readonly secrets: Secrets
  /** The last accounts, by key. They stand for secrets that cannot be read now. */
  private readonly last = new Map<string, Account>()

  constructor(vendor: string, secrets: Secrets) {
    this.vendor = vendor
    this.secrets = secrets
  }

  /** The account of a caller under a key; `undefined` without a secret. A secret from a slow source is waited for. */
  of(caller: Context.Context<never>, key: string): Account | undefined | Reading {
    const holder = this.secrets.of(caller)
    const { credentials } = holder
    const request = { vendor: this.vendor, key }
    const name = credentials.account?.(request)
    if (name !== undefined) return { id: `account ${name}`, isNamed: true }
    const read = credentials.read(request)
    if (Exit.isExit(read)) return this.learn(key, read as ReadExit)
    const fiber = holder.fork(read, caller)
    const exit = fiber.pollUnsafe()
    return exit === undefined ? new Reading(fiber, (exit) => this.learn(key, exit)) : this.learn(key, exit)
  }

  /** `exit` is `undefined` if the secret was not read in time. */
  private learn(key: string, exit: ReadExit | undefined): Account | undefined {
    const { last } = this
    const known = last.get(key)
    if (exit === undefined || Exit.isFailure(exit)) {
      const problem = exit && Option.getOrUndefined(Exit.findErrorOption(exit))
      return exit === undefined || problem?.problem === "Unreachable" ? known : undefined
    }
    const id = `secret ${hash("sha256", `${pepper} ${Redacted.value(exit.value)}`, "base64")}`
    if (known?.id === id) return known
    const account = { id, isNamed: false }
    last.delete(key)
    last.set(key, account)
    if (last.size > maxKeys) last.delete(last.keys().next().value!)
    return account
  }
}

/** The reading of a secret whose source takes its time. */
export class Reading {
  private readonly flight = new SingleFlight<Redacted.Redacted, CredentialUnavailable>(Infinity, false, () => {})
  private readonly learn: (exit: ReadExit | undefined) => Account | undefined

  constructor(
    fiber: Fiber.Fiber<Redacted.Redacted, CredentialUnavailable>,
    learn: (exit: ReadExit | undefined) => Account | undefined
  ) {
    this.learn = learn
    this.flight.carry(fiber, () => {})
  }

  /** The account, if it is known by then. */
  by(timeline: Timeline, dueAt: number): Effect.Effect<Account | undefined> {
    return Effect.map(
      this.flight.join(timeline, Infinity, dueAt),
      (end) => this.learn(typeof end === "string" ? undefined : end)
    )
  }
}
