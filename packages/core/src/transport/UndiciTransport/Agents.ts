/** Connection pools: their number, their size, and how long idle connections are kept. */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import type { Agent as Undici } from "undici"
import * as Range from "../../Range.ts"
import * as Timeline from "../../Timeline.ts"
import { Ages } from "./Ages.ts"
import type { Connector } from "./Connector.ts"
import { Agent, Pool } from "./Undici.ts"
import { abandoned } from "./UndiciExchange.ts"

export interface AgentOptions {
  /** Connections per origin, a whole number of at least 1; further requests wait for a free one. @default 256 */
  readonly connections?: number | undefined
  /**
   * Origins with open connections, a whole number of at least 1. A request to one more origin fails as `Unreachable`.
   * @default 1_024
   */
  readonly origins?: number | undefined
  /**
   * How long an idle connection is kept, in milliseconds; more than 0, and 25 days at most count. A server may shorten it,
   * never lengthen it.
   * @default 4_000 (as undici)
   */
  readonly keepAliveMillis?: number | undefined
  /**
   * How long a connection takes new requests; longer than 0, and for each connection up to a tenth shorter or longer. It
   * then finishes those it has, beside a new one, for which the name is resolved again.
   * @default 2 minutes (as .NET's `HandlerLifetime`, for the same reason)
   */
  readonly maxConnectionAge?: Duration.Input | undefined
  /**
   * The largest header block accepted over HTTP/1.1, in bytes; a whole number of at least 1. @default 16_384 (as Node)
   */
  readonly maxHeaderBytes?: number | undefined
  /**
   * Whether to use HTTP/2 with servers that choose it. All others, and plain `http`, get HTTP/1.1.
   * @default false
   */
  readonly http2?: boolean | undefined
}

/** The most agents, one per connect timeout in use; beyond it the oldest agent is closed. */
const maxAgents = 64

/** undici fixes the connect timeout per agent, so there is one agent per timeout in use. */
export class Agents {
  private readonly options: Undici.Options
  private readonly connector: Connector
  private readonly ages: Ages
  private readonly agents = new Map<number, Agent>()
  /** Agents that finish their last requests before they close. */
  private readonly leaving = new Set<Agent>()
  private isClosed = false

  constructor(options: AgentOptions, connector: Connector, context: Context.Context<never>) {
    const keepAliveMillis = Math.min(
      Range.positive("UndiciTransport: keepAliveMillis", options.keepAliveMillis ?? 4_000),
      Timeline.longestTimeout
    )
    const maxAgeMillis = Range.duration("UndiciTransport: maxConnectionAge", options.maxConnectionAge ?? "2 minutes")
    this.ages = new Ages(maxAgeMillis, context)
    this.connector = connector
    this.options = {
      // undici itself has no pool for a single connection.
      factory: (origin: URL, options: object) => new Pool(origin, options),
      connections: Range.whole("UndiciTransport: connections", options.connections ?? 256, 1),
      maxOrigins: Range.whole("UndiciTransport: origins", options.origins ?? 1_024, 1),
      keepAliveTimeout: keepAliveMillis,
      keepAliveMaxTimeout: keepAliveMillis,
      maxHeaderSize: maxHeaderBytes(options),
      pipelining: 1,
      allowH2: options.http2 ?? false,
      // The attempt's own timers bound both; undici's would only race them.
      headersTimeout: 0,
      bodyTimeout: 0
    }
  }
  for(connectTimeoutMillis: number): Agent {
    this.ages.retireOld()
    const agent = this.agents.get(connectTimeoutMillis)
    return agent ?? this.add(connectTimeoutMillis)
  }
  async destroy(): Promise<void> {
    this.isClosed = true
    const agents = [...this.agents.values(), ...this.leaving]
    const destroyed = Promise.all([this.ages.destroy(), ...agents.map((agent) => agent.destroy())])
    // A destroyed agent leaves pending connections to their timeout.
    this.connector.abandon(abandoned)
    await destroyed
  }
  private add(connectTimeoutMillis: number): Agent {
    const agent = new Agent({ ...this.options, connect: this.connector.within(connectTimeoutMillis) })
    if (this.isClosed) {
      void agent.destroy()
      return agent
    }
    this.ages.follow(agent)
    this.agents.set(connectTimeoutMillis, agent)
    if (this.agents.size > maxAgents) {
      const [oldest, leaver] = this.agents.entries().next().value!
      this.agents.delete(oldest)
      this.leaving.add(leaver)
      leaver.close(() => this.leaving.delete(leaver))
    }
    return agent
  }
}

/** The option, or its default. */
export const maxHeaderBytes = (options: AgentOptions): number =>
  Range.whole("UndiciTransport: maxHeaderBytes", options.maxHeaderBytes ?? 16_384, 1)
