/**
 * The ages of connections. A busy connection would stay for ever at an address that its name has left. An old one
 * finishes its requests and takes no new ones, so the name is resolved anew. Ages are looked at when a request is sent,
 * by a comparison of two numbers: an idle connection closes by itself.
 */
import * as Context from "effect/Context"
import * as Random from "effect/Random"
import * as Timeline from "../../Timeline.ts"
import { type Agent, type Client, kDrainQueue, kRemoveClient, type Pool } from "./Undici.ts"

/** How much earlier or later a connection is old, so that those opened together do not end together (gRFC A9). */
const jitter = 0.1

interface Aging {
  readonly origin: URL
  readonly pool: Pool
  readonly oldAt: number
}

export class Ages {
  private readonly maxAgeMillis: number
  private readonly timeline: Timeline.Timeline
  private readonly random: () => number
  private readonly connections = new Map<Client, Aging>()
  /** Out of their pools, and still busy with a request. */
  private readonly retired = new Set<Client>()
  /** The time at which the first connection is old. */
  private firstAt = Infinity

  constructor(maxAgeMillis: number, context: Context.Context<never>) {
    this.maxAgeMillis = maxAgeMillis
    this.timeline = Timeline.ofContext(context)
    const random = Context.get(context, Random.Random)
    this.random = () => random.nextDoubleUnsafe()
  }

  /** Follows the connections of an agent. */
  follow(agent: Agent): void {
    agent.on("connect", (origin, targets) => {
      const [, pool, client] = targets as unknown as [Agent, Pool, Client]
      const oldAt = this.timeline.elapsed() + this.maxAgeMillis * (1 - jitter + 2 * jitter * this.random())
      this.connections.set(client, { origin, pool, oldAt })
      this.firstAt = Math.min(this.firstAt, oldAt)
    })
    agent.on("disconnect", (_origin, targets) => {
      const client = targets[2] as unknown as Client
      this.connections.delete(client)
      this.retired.delete(client)
    })
  }

  /** Takes old connections out of their pools. */
  retireOld(): void {
    const now = this.timeline.elapsed()
    if (now < this.firstAt) return
    this.firstAt = Infinity
    for (const [client, { oldAt, origin, pool }] of this.connections) {
      if (now < oldAt) {
        this.firstAt = Math.min(this.firstAt, oldAt)
        continue
      }
      this.connections.delete(client)
      this.retired.add(client)
      pool[kRemoveClient](client)
      // Requests that waited for this connection go to others.
      pool[kDrainQueue](origin, [pool])
    }
  }

  /** Ends the connections that are in no pool any more. */
  async destroy(): Promise<void> {
    await Promise.all([...this.retired].map((client) => client.destroy()))
  }
}
