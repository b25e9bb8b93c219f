/**
 * A day in virtual time, over real sockets: the name moves every ten minutes, all certificates are renewed every hour, and
 * the name server is dead for a minute of each hour, in which the name moves. Source: FAULTS.md §4, rows 27, 30 and 32.
 */
import * as SystemLookup from "@breakwater/core/transport/Resolver/SystemLookup"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import { createServer, type Server } from "node:https"
import type { TLSSocket } from "node:tls"
import { authority, type Certified } from "../fakes/Certificates.ts"
import * as Loopback from "../fakes/Loopback.ts"
import * as NameServer from "../fakes/NameServer.ts"
import * as SlowAddress from "../fakes/SlowAddress.ts"
import * as Effort from "../setup/Effort.ts"
import * as Watch from "../watches/Watch.ts"
import * as Wire from "../watches/Wire.ts"

const trusted = authority()

/** Hours that a run plays, and seconds between two calls. */
const [hours, step] = Effort.isAtLeast("check") ? [24, 20] : [3, 30]

/** The minutes of each hour in which these happen; the name moves at each full ten minutes. */
const [deadFrom, deadUntil, cutAt] = [30, 31, 45]

/** How long the old address serves after the name has moved: a connection's age, a lookup's, and the outage. */
const graceMinutes = 4

describe.runIf(SlowAddress.isPossible)("a day of moves, renewals and outages", () => {
  it.effect("fails only the calls that were in flight when their connection was cut, and sends none twice", () =>
    Effect.gen(function*() {
      const { changed, until } = Watch.make()
      const seen: Array<string> = []
      const shown = new Set<string>()
      const held: Array<() => void> = []
      let now = 0
      let certified: Certified = trusted.issue({ hosts: ["shop.localhost"] })
      let client: Certified = trusted.issue()

      const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
      const minute = () => now / 60
      const place = () => Math.floor(minute() / 10) % addresses.length
      const isDead = () => minute() % 60 >= deadFrom && minute() % 60 < deadUntil

      const dns = yield* NameServer.serve((name) =>
        isDead() ? "silence" : name === "shop.localhost" ? [addresses[place()]!] : "unknown"
      )

      // A vendor at each address, as long as the name leads to it or has done so lately.
      const running = new Map<number, { readonly server: Server; readonly scope: Scope.Closeable }>()
      let port = 0
      const open = (index: number) =>
        Effect.gen(function*() {
          const scope = yield* Scope.fork(yield* Effect.scope)
          const server = createServer(
            { ...certified, ca: [trusted.certificate], requestCert: true, rejectUnauthorized: true },
            (request, response) => {
              seen.push(request.url!)
              if (request.url!.startsWith("/held")) held.push(() => request.socket.destroy())
              else response.end(addresses[index])
              changed()
            }
          )
          server.keepAliveTimeout = 600_000
          server.on("secureConnection", (socket: TLSSocket) => {
            shown.add(socket.getPeerCertificate().fingerprint256)
          })
          const listening = yield* Scope.provide(
            Loopback.listen(server, () => {}, { host: addresses[index]!, port }),
            scope
          )
          port = listening.port
          running.set(index, { server, scope })
        })
      const close = (index: number) =>
        Effect.suspend(() => {
          const { scope } = running.get(index)!
          running.delete(index)
          return Scope.close(scope, Exit.void)
        })

      yield* open(0)
      const { send } = yield* Wire.make({
        proxy: false,
        loopback: true,
        keepAliveMillis: 600_000,
        // A name of this machine is otherwise not asked for.
        dns: { lookup: (name) => SystemLookup.byServers(name, [dns.address]) },
        tls: {
          ca: [trusted.certificate],
          client: Effect.sync(() => ({ certificate: client.cert, key: Redacted.make(client.key) }))
        }
      })
      const call = (path: string) =>
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(send(`https://shop.localhost:${port}`, { path, ...ample }))
          // A lookup that no server answers ends by virtual time.
          while (isDead() && fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 millis")
          return yield* Fiber.join(fiber)
        })

      const failed: Array<string> = []
      const used = new Set<string>()
      let calls = 0
      for (; now < hours * 3_600; now += step) {
        const at = minute()
        if (at % 10 === 0 && at > 0) yield* open(place())
        if (at % 10 === graceMinutes && at > 10) yield* close((place() + addresses.length - 1) % addresses.length)
        if (at % 60 === 0) {
          certified = trusted.issue({ hosts: ["shop.localhost"] })
          client = trusted.issue()
          for (const { server } of running.values()) {
            server.setSecureContext({ ...certified, ca: [trusted.certificate] })
          }
        }
        if (at % 60 === cutAt) {
          const cut = yield* Effect.forkChild(
            Effect.forEach([1, 2, 3], (index) => call(`/held/${at}/${index}`), { concurrency: "unbounded" })
          )
          yield* until("they are in flight", () => held.length === 3)
          for (const end of held.splice(0)) end()
          for (const { reason } of yield* Fiber.join(cut)) assert.strictEqual(reason?._tag, "ConnectionLost")
        }
        const path = `/${calls++}`
        const { body, reason } = yield* call(path)
        if (body === undefined) failed.push(`${path} in minute ${at}: ${reason?.message}`)
        else used.add(`${Math.floor(at / 10)} ${body}`)
        yield* TestClock.adjust(step * 1_000)
      }
      assert.deepStrictEqual(failed, [])
      assert.strictEqual(calls, hours * 3_600 / step)
      assert.strictEqual(new Set(seen).size, seen.length)
      assert.strictEqual(seen.length, calls + 3 * hours)
      // Within its ten minutes each address was reached, and each hour's certificate was shown.
      for (let ten = 0; ten < hours * 6; ten++) assert.include(used, `${ten} ${addresses[ten % 3]}`)
      assert.isAtLeast(shown.size, hours)
    }))
})

/** Real time, of which a busy machine may need more. */
const ample = { connectTimeoutMillis: 60_000 }
