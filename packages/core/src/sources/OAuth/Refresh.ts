/**
 * Spends a refresh token, one use at a time across all processes that share its store. The new token is stored before
 * it is used.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import { createHash, randomUUID } from "node:crypto"
import { sourceRefusal, type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import * as SourceSecret from "../../credentials/SourceSecret.ts"
import { sourceName } from "./ClientAuth.ts"
import { isTokenRefused, type TokenEndpoint } from "./TokenEndpoint.ts"
import type { Access, Kept, Tokens, TokenStore } from "./TokenStore.ts"

export interface Refresh {
  /** A valid access token other than the refused one. */
  access(refused?: Redacted.Redacted): Effect.Effect<Access, SourceUnavailable>
  /** Whether every new token is stored; if not, the next `access` stores it first. */
  readonly isSaved: boolean
}

/** `seed` is the first refresh token, and the next one if the stored one was refused. */
export const make = (endpoint: TokenEndpoint, store: TokenStore, seed?: SourceSecret.SourceSecret): Refresh => {
  const claimMillis = endpoint.patience + leeway
  /** The tokens of a use that could not be stored yet. */
  let unsaved: Unsaved | undefined

  /** Overwrites the spent token in the store; any other token there is left alone. */
  const save = Effect.gen(function*() {
    for (let held = unsaved; held !== undefined; held = unsaved) {
      const { next, revision, spent } = held
      const kept = (yield* store.compareAndSet(revision, next)) ? undefined : yield* store.load
      const isStillSpent = kept !== undefined && isSame(kept.tokens.refreshToken, spent)
      // Meanwhile another fiber may have saved it, and spent the next one.
      if (unsaved === held) unsaved = isStillSpent ? { next, revision: kept.revision, spent } : undefined
    }
  })

  /** Uses the seed; fails without a seed, or if it was used before. */
  const begin = Effect.fnUntraced(function*(kept: Kept | undefined) {
    if (seed === undefined) return yield* Effect.fail(kept === undefined ? nothingKept : refused)
    const refreshToken = yield* SourceSecret.read(seed)
    const fingerprint = createHash("sha256").update(Redacted.value(refreshToken)).digest("base64url")
    const seeds = kept?.tokens.seeds ?? []
    if (seeds.includes(fingerprint)) return yield* Effect.fail(refused)
    yield* store.compareAndSet(kept?.revision ?? 0, { refreshToken, seeds: [...seeds, fingerprint] })
  })

  /** Spends the refresh token, which is claimed under this revision. */
  const spend = Effect.fnUntraced(function*(revision: number, tokens: Tokens, claimedUntil: number) {
    const { refreshToken, seeds } = tokens
    const asked = yield* Effect.result(
      endpoint.ask([["grant_type", "refresh_token"], ["refresh_token", Redacted.value(refreshToken)]], false)
    )
    if (Result.isFailure(asked)) {
      const { failure } = asked
      const isDead = isTokenRefused(failure) && failure.error === "invalid_grant"
      // Releases the claim. If another process has taken over meanwhile, its write stays.
      const released = store.compareAndSet(revision, isDead ? { ...tokens, isRefused: true } : tokens)
      return isDead
        ? yield* Effect.asVoid(released)
        : yield* Effect.andThen(Effect.ignore(released), Effect.fail(failure))
    }
    const { accessToken: token, expiresAt, issuedAt } = asked.success
    const access = { token, issuedAt, expiresAt }
    unsaved = {
      next: { refreshToken: asked.success.refreshToken ?? refreshToken, access, seeds },
      revision,
      spent: refreshToken
    }
    yield* Effect.retry(save, {
      schedule: saving,
      while: () => Effect.map(Clock.currentTimeMillis, (now) => now < claimedUntil)
    })
  })

  const access = Effect.fnUntraced(function*(refusedToken?: Redacted.Redacted) {
    const givesUpAt = (yield* Clock.currentTimeMillis) + 2 * claimMillis
    while (true) {
      yield* save
      const kept = yield* store.load
      if (kept === undefined || kept.tokens.isRefused === true) {
        yield* begin(kept)
        continue
      }
      const now = yield* Clock.currentTimeMillis
      if (now >= givesUpAt) return yield* Effect.fail(taken)
      const { access, claim, ...tokens } = kept.tokens
      const isGood = access !== undefined && now < (access.expiresAt ?? Infinity) &&
        !(refusedToken !== undefined && isSame(access.token, refusedToken))
      const isClaimed = claim !== undefined && now < claim.until
      if (isGood && (isClaimed || isYoung(access, now))) return access
      if (isClaimed) {
        yield* Effect.sleep(pause)
        continue
      }
      // Uninterruptible from the claim to its result: an end in between would leave a token that is spent and not
      // replaced. The endpoint's limits bound the wait.
      yield* Effect.uninterruptible(
        Effect.gen(function*() {
          const until = now + claimMillis
          const claimed = { ...kept.tokens, claim: { by: randomUUID(), until } }
          if (!(yield* store.compareAndSet(kept.revision, claimed))) return
          yield* Fiber.join(yield* Effect.forkDetach(spend(kept.revision + 1, { ...tokens, access }, until)))
        })
      )
    }
  })

  return {
    access,
    get isSaved() {
      return unsaved === undefined
    }
  }
}

interface Unsaved {
  readonly next: Tokens
  readonly revision: number
  readonly spent: Redacted.Redacted
}

/** A token past half of its lifetime is not returned to a caller that asks for a fresh one. */
const isYoung = ({ expiresAt, issuedAt }: Access, now: number): boolean =>
  expiresAt === undefined || now < (issuedAt + expiresAt) / 2

/** An allowance for differences between clocks and for storing, in milliseconds. */
const leeway = 10_000

/** Retries a failing store while the claim protects the token; the pause grows to two seconds. */
const saving = Schedule.exponential("100 millis").pipe(
  Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(2)))),
  Schedule.jittered
)

/** The pause between checks whether another process is done. */
const pause = "100 millis"

const nothingKept = sourceRefusal(sourceName, "its store holds no refresh token: somebody must sign in")
const refused = sourceRefusal(sourceName, "the refresh token was refused: somebody must sign in again")
const taken = sourceUnavailable(sourceName, "another process is using the refresh token")

const isSame = (a: Redacted.Redacted, b: Redacted.Redacted): boolean => Redacted.value(a) === Redacted.value(b)
