/**
 * Stores a refresh token between two uses. Each use spends the token and yields the next one, so it must outlive the
 * process, and no two processes may spend the same. Every write is therefore a compare-and-set on a revision.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { randomUUID } from "node:crypto"
import { link, mkdir, open, readdir, readFile, unlink } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { type SourceUnavailable, sourceUnavailable } from "../../credentials/Source.ts"
import { sourceName } from "./ClientAuth.ts"

/** The contents of a store. */
export interface Tokens {
  readonly refreshToken: Redacted.Redacted
  /** The access token from the last use of a refresh token. */
  readonly access?: Access | undefined
  /** The process that is spending the refresh token now. */
  readonly claim?: Claim | undefined
  /** Whether the server has refused the refresh token: somebody must sign in again. @default false */
  readonly isRefused?: boolean | undefined
  /** Fingerprints of all seeds used so far; a seed is never used again. */
  readonly seeds?: ReadonlyArray<string> | undefined
}

export interface Access {
  readonly token: Redacted.Redacted
  /** Unix times in milliseconds. */
  readonly issuedAt: number
  readonly expiresAt?: number | undefined
}

export interface Claim {
  readonly by: string
  /** Unix time in milliseconds after which the claiming process counts as dead. */
  readonly until: number
}

export interface Kept {
  /** The revision, at least 1; every write increments it. */
  readonly revision: number
  readonly tokens: Tokens
}

export interface TokenStore {
  /** The current contents; `undefined` if the store is empty. */
  readonly load: Effect.Effect<Kept | undefined, SourceUnavailable>
  /**
   * Replaces the contents if they have this revision (0 for an empty store), and returns whether it did. After `true`,
   * the write is durable, even if the process ends. After a failure, the write may or may not have happened.
   */
  compareAndSet(revision: number, tokens: Tokens): Effect.Effect<boolean, SourceUnavailable>
}

/** Replaces any contents by a refresh token, after a sign-in. */
export const put = (store: TokenStore, refreshToken: Redacted.Redacted): Effect.Effect<void, SourceUnavailable> =>
  Effect.gen(function*() {
    while (true) {
      const kept = yield* store.load
      const seeds = kept?.tokens.seeds
      if (yield* store.compareAndSet(kept?.revision ?? 0, { refreshToken, seeds })) return
    }
  })

/** In memory: for tests, and for a single process whose refresh token is not rotated. */
export const memory = (refreshToken?: Redacted.Redacted): TokenStore => {
  let kept: Kept | undefined = refreshToken === undefined ? undefined : { revision: 1, tokens: { refreshToken } }
  return {
    load: Effect.sync(() => kept),
    compareAndSet: (revision, tokens) =>
      Effect.sync(() => {
        if ((kept?.revision ?? 0) !== revision) return false
        kept = { revision: revision + 1, tokens }
        return true
      })
  }
}

/**
 * In files `<file>.<revision>`, readable by their owner alone; the directory is created if necessary. A revision is
 * written completely under another name and then linked to its own, which fails if that name is taken. No crash can
 * leave this lock behind. It serves processes that share a file system with hard links. The tokens are not encrypted:
 * encrypt the disk.
 */
export const file = (path: string): TokenStore => {
  const [folder, name] = [dirname(path), basename(path)]
  const fileOf = (revision: number) => join(folder, `${name}.${revision}`)

  const revisions = async (): Promise<ReadonlyArray<number>> => {
    const names = await readdir(folder).catch((cause: unknown) => {
      if (isNotFound(cause)) return []
      throw cause
    })
    return names
      .filter((other) => other.startsWith(`${name}.`) && /^[1-9]\d{0,14}$/.test(other.slice(name.length + 1)))
      .map((other) => Number(other.slice(name.length + 1)))
      .toSorted((a, b) => b - a)
  }

  /** The latest revision may be removed before it is read; then there is a later one. */
  const load = async (): Promise<Kept | undefined> => {
    for (let attempt = 0; attempt < 100; attempt++) {
      const revision = (await revisions())[0]
      if (revision === undefined) return undefined
      const written = await read(revision)
      if (written !== undefined) return { revision, tokens: tokensOf(written) }
    }
    throw new Error("no revision stays")
  }

  /** `undefined` if the revision was removed. */
  const read = async (revision: number) => {
    const text = await readFile(fileOf(revision), "utf8").catch((cause: unknown) => {
      if (isNotFound(cause)) return undefined
      throw cause
    })
    return text === undefined ? undefined : Option.getOrThrow(decode(text))
  }

  const historyOf = async (revision: number) => (await read(revision))?.history

  const compareAndSet = async (revision: number, tokens: Tokens): Promise<boolean> => {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const id = randomUUID()
    const [next, draft] = [fileOf(revision + 1), join(folder, `${name}.${id}.draft`)]
    const history = revision === 0 ? [] : await historyOf(revision)
    if (history === undefined) return false
    try {
      const handle = await open(draft, "wx", 0o600)
      try {
        await handle.writeFile(encode(tokens, [id, ...history].slice(0, historyLength)))
        await handle.sync()
      } finally {
        await handle.close()
      }
      await link(draft, next)
    } catch (cause) {
      if (cause instanceof Error && "code" in cause && cause.code === "EEXIST") return false
      throw cause
    } finally {
      await unlink(draft).catch(ignoreNotFound)
    }
    await synced(folder)
    // The latest revision is never removed. If there are later ones than ours, then either they followed it, or its
    // name was free only because its earlier owner was removed.
    const [latest = 0, ...others] = await revisions()
    if (latest !== revision + 1 && !(await historyOf(latest))?.includes(id)) {
      await unlink(next).catch(ignoreNotFound)
      return false
    }
    await Promise.all(others.filter((old) => old <= revision).map((old) => unlink(fileOf(old)).catch(ignoreNotFound)))
    return true
  }

  const attempted = <A>(act: () => Promise<A>): Effect.Effect<A, SourceUnavailable> =>
    Effect.tryPromise({
      try: act,
      catch: () => sourceUnavailable(sourceName, "the store of the refresh token cannot be read or written")
    })
  return {
    load: attempted(load),
    compareAndSet: (revision, tokens) => attempted(() => compareAndSet(revision, tokens)).pipe(Effect.uninterruptible)
  }
}

/** Makes the names in a directory survive a power loss. */
const synced = async (folder: string) => {
  const handle = await open(folder, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const isNotFound = (cause: unknown): boolean => cause instanceof Error && "code" in cause && cause.code === "ENOENT"

const ignoreNotFound = (cause: unknown): void => {
  if (!isNotFound(cause)) throw cause
}

/** The most writes that may happen between a write and its writer's check. */
const historyLength = 64

const Written = Schema.Struct({
  /** The writes that led to it, its own first. */
  history: Schema.Array(Schema.String),
  refreshToken: Schema.NonEmptyString,
  access: Schema.optionalKey(
    Schema.Struct({
      token: Schema.NonEmptyString,
      issuedAt: Schema.Finite,
      expiresAt: Schema.optionalKey(Schema.Finite)
    })
  ),
  claim: Schema.optionalKey(Schema.Struct({ by: Schema.String, until: Schema.Finite })),
  isRefused: Schema.optionalKey(Schema.Boolean),
  seeds: Schema.optionalKey(Schema.Array(Schema.String))
})

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Written))

const tokensOf = ({ access, history: _history, refreshToken, ...rest }: typeof Written.Type): Tokens => ({
  ...rest,
  refreshToken: Redacted.make(refreshToken),
  ...(access === undefined ? {} : { access: { ...access, token: Redacted.make(access.token) } })
})

const encode = ({ access, claim, isRefused, refreshToken, seeds }: Tokens, history: ReadonlyArray<string>): string =>
  JSON.stringify({
    history,
    refreshToken: Redacted.value(refreshToken),
    access: access === undefined ? undefined : { ...access, token: Redacted.value(access.token) },
    claim,
    isRefused,
    seeds
  })
