import { TokenStore } from "@breakwater/core/sources/OAuth"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { vi } from "vitest"
import * as Effort from "../../../setup/Effort.ts"

/** Actions just before and just after the next file gets its name. */
const around: Record<"before" | "after", Effect.Effect<unknown, unknown>> = { before: Effect.void, after: Effect.void }

vi.mock("node:fs/promises", async (importOriginal) => {
  const original = await importOriginal<typeof import("node:fs/promises")>()
  return {
    ...original,
    link: async (from: string, to: string) => {
      const { after, before } = around
      around.before = around.after = Effect.void
      await Effect.runPromise(before)
      await original.link(from, to)
      await Effect.runPromise(after)
    }
  }
})

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "breakwater-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const plain = (kept: TokenStore.Kept | undefined) =>
  kept && {
    revision: kept.revision,
    ...kept.tokens,
    refreshToken: Redacted.value(kept.tokens.refreshToken),
    access: kept.tokens.access && { ...kept.tokens.access, token: Redacted.value(kept.tokens.access.token) }
  }

const named = (name: string): TokenStore.Tokens => ({ refreshToken: Redacted.make(name) })

/** Handles of one store, like those of several processes. */
const suite = (name: string, handles: Effect.Effect<() => TokenStore.TokenStore, never, Scope.Scope>) =>
  describe(name, () => {
    it.effect("stores all fields", () =>
      Effect.gen(function*() {
        const handle = yield* handles
        assert.isUndefined(yield* handle().load)
        const tokens: TokenStore.Tokens = {
          refreshToken: Redacted.make(randomUUID()),
          access: { token: Redacted.make(randomUUID()), issuedAt: 1, expiresAt: 2 },
          claim: { by: "me", until: 3 },
          isRefused: true,
          seeds: ["a", "b"]
        }
        assert.isTrue(yield* handle().compareAndSet(0, tokens))
        const kept = yield* handle().load
        assert.deepStrictEqual(plain(kept), plain({ revision: 1, tokens }))
        assert.notInclude(inspect(kept, { depth: 9 }), Redacted.value(tokens.refreshToken))
        assert.isTrue(yield* handle().compareAndSet(1, named("next")))
        assert.deepStrictEqual(Redacted.value((yield* handle().load)!.tokens.refreshToken), "next")
        assert.isUndefined((yield* handle().load)!.tokens.access)
      }).pipe(Effect.scoped))

    it.effect.prop(
      "writes only over the revision that was read, by any writer (law)",
      [Schema.Array(Schema.Struct({ writer: Schema.Literals([0, 1, 2]), reads: Schema.Boolean }))],
      ([acts]) =>
        Effect.gen(function*() {
          const handle = yield* handles
          const writers = [handle(), handle(), handle()]
          const seen = [0, 0, 0]
          let revision = 0
          for (const [index, { reads, writer }] of acts.entries()) {
            if (reads) {
              const kept = yield* writers[writer]!.load
              assert.strictEqual(kept?.revision ?? 0, revision)
              seen[writer] = revision
            } else {
              const written = yield* writers[writer]!.compareAndSet(seen[writer]!, named(`${index}`))
              assert.strictEqual(written, seen[writer] === revision)
              if (written) revision++
            }
          }
        }).pipe(Effect.scoped),
      { arbitrary: { runs: Effort.runs(60) } }
    )

    it.effect("accepts one of several concurrent writes over the same revision", () =>
      Effect.gen(function*() {
        const handle = yield* handles
        for (let revision = 0; revision < 20; revision++) {
          const written = yield* Effect.forEach(
            ["a", "b", "c", "d"],
            (name) => Effect.map(handle().compareAndSet(revision, named(name)), (isWritten) => isWritten ? [name] : []),
            { concurrency: "unbounded" }
          )
          assert.lengthOf(written.flat(), 1)
          const kept = yield* handle().load
          assert.deepStrictEqual([kept?.revision, kept && Redacted.value(kept.tokens.refreshToken)], [
            revision + 1,
            written.flat()[0]
          ])
        }
      }).pipe(Effect.scoped))

    it.effect("loses no increment among concurrent writers", () =>
      Effect.gen(function*() {
        const handle = yield* handles
        const count = Effect.gen(function*() {
          const store = handle()
          for (let times = 0; times < 10;) {
            const kept = yield* store.load
            const number = kept === undefined ? 0 : Number(Redacted.value(kept.tokens.refreshToken))
            if (yield* store.compareAndSet(kept?.revision ?? 0, named(`${number + 1}`))) times++
          }
        })
        yield* Effect.all([count, count, count, count], { concurrency: "unbounded" })
        assert.strictEqual(Redacted.value((yield* handle().load)!.tokens.refreshToken), "40")
      }).pipe(Effect.scoped))

    it.effect("replaces any contents by the token of a new sign-in, and keeps the earlier seeds", () =>
      Effect.gen(function*() {
        const handle = yield* handles
        yield* TokenStore.put(handle(), Redacted.make("first"))
        yield* handle().compareAndSet(1, { ...named("dead"), isRefused: true, seeds: ["s"] })
        yield* TokenStore.put(handle(), Redacted.make("second"))
        const kept = (yield* handle().load)!
        assert.strictEqual(Redacted.value(kept.tokens.refreshToken), "second")
        assert.isUndefined(kept.tokens.isRefused)
        assert.deepStrictEqual(kept.tokens.seeds, ["s"])
      }).pipe(Effect.scoped))
  })

suite(
  "the store in memory",
  Effect.sync(() => {
    const store = TokenStore.memory()
    return () => store
  })
)

suite(
  "the store in a file",
  Effect.map(folder, (folder) => () => TokenStore.file(join(folder, "tokens", "hubspot")))
)

describe("the store in a file", () => {
  it.effect("is readable by its owner alone, and keeps a single file", () =>
    Effect.gen(function*() {
      const path = join(yield* folder, "tokens")
      const store = TokenStore.file(join(path, "hubspot"))
      for (let revision = 0; revision < 5; revision++) yield* store.compareAndSet(revision, named("a"))
      assert.deepStrictEqual(readdirSync(path), ["hubspot.5"])
      assert.strictEqual(statSync(path).mode & 0o777, 0o700)
      assert.strictEqual(statSync(join(path, "hubspot.5")).mode & 0o777, 0o600)
    }).pipe(Effect.scoped))

  it.effect("ignores the drafts of a process that died, and other files beside it", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const store = TokenStore.file(join(path, "hubspot"))
      yield* store.compareAndSet(0, named("a"))
      for (const other of [`hubspot.${randomUUID()}.draft`, "hubspot.bak", "hubspot-eu.7", "hubspot.07", "hubspot."]) {
        writeFileSync(join(path, other), "half")
      }
      assert.strictEqual((yield* store.load)?.revision, 1)
      assert.isTrue(yield* store.compareAndSet(1, named("b")))
    }).pipe(Effect.scoped))

  it.effect("refuses a writer that was suspended until its name became free again", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const store = TokenStore.file(join(path, "hubspot"))
      yield* store.compareAndSet(0, named("a"))
      for (const revision of [1, 2, 3]) yield* store.compareAndSet(revision, named("b"))
      // Only the last of revisions 1 to 4 exists: the name of 2 is free.
      for (const revision of [0, 1, 2, 3]) assert.isFalse(yield* store.compareAndSet(revision, named("late")))
      assert.deepStrictEqual(readdirSync(path), ["hubspot.4"])
      assert.strictEqual(Redacted.value((yield* store.load)!.tokens.refreshToken), "b")
    }).pipe(Effect.scoped))

  it.effect("reports a successful write even if another writer replaces it at once and removes its file", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const [one, other] = [TokenStore.file(join(path, "hubspot")), TokenStore.file(join(path, "hubspot"))]
      yield* one.compareAndSet(0, named("a"))
      around.after = Effect.andThen(other.compareAndSet(2, named("c")), other.compareAndSet(3, named("d")))
      assert.isTrue(yield* one.compareAndSet(1, named("b")))
      assert.deepStrictEqual(readdirSync(path), ["hubspot.4"])
    }).pipe(Effect.scoped))

  it.effect("reports a failed write if its name was free only because its revision had passed", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const [one, other] = [TokenStore.file(join(path, "hubspot")), TokenStore.file(join(path, "hubspot"))]
      yield* one.compareAndSet(0, named("a"))
      around.before = Effect.andThen(other.compareAndSet(1, named("b")), other.compareAndSet(2, named("c")))
      assert.isFalse(yield* one.compareAndSet(1, named("late")))
      assert.deepStrictEqual(readdirSync(path), ["hubspot.3"])
      assert.strictEqual(Redacted.value((yield* one.load)!.tokens.refreshToken), "c")
    }).pipe(Effect.scoped))

  it.effect("is unavailable if it cannot be read, without showing its contents", () =>
    Effect.gen(function*() {
      const path = yield* folder
      const text = `{"refreshToken":"${randomUUID()}"`
      writeFileSync(join(path, "hubspot.1"), text)
      const error = yield* Effect.flip(TokenStore.file(join(path, "hubspot")).load)
      assert.deepStrictEqual(error, {
        _tag: "SourceUnavailable",
        source: "oauth",
        issue: "the store of the refresh token cannot be read or written"
      })
      writeFileSync(join(path, "file"), "")
      yield* Effect.flip(TokenStore.file(join(path, "file", "hubspot")).compareAndSet(0, named("a")))
    }).pipe(Effect.scoped))
})
