/** The connections: how many, how long they are kept, how they come about. */
import { Agent, buildConnector } from "@effect/platform-node/Undici"
import type { Socket } from "node:net"
import * as Range from "../../Range.ts"
import { abandoned } from "./Exchange.ts"

export interface AgentOptions {
  /** Connections per origin, a whole number of at least 1; further requests wait for a free one. @default 256 (ours) */
  readonly connections?: number | undefined
  /** How long an unused connection is kept, in milliseconds; more than 0. @default 4_000 (as undici) */
  readonly keepAliveMillis?: number | undefined
  /** The largest header block that is read, in bytes; a whole number of at least 1. @default 16_384 (as Node) */
  readonly maxHeaderBytes?: number | undefined
}

/** undici fixes the connect timeout per agent, so there is one agent per timeout in use. */
export class Agents {
  private readonly connections: number
  private readonly keepAliveMillis: number
  private readonly maxHeaderBytes: number
  private readonly agents = new Map<number, Agent>()
  private readonly connecting = new Set<Socket>()
  private isClosed = false

  constructor(options: AgentOptions) {
    this.connections = Range.whole("UndiciTransport: connections", options.connections ?? 256, 1)
    this.keepAliveMillis = Range.positive("UndiciTransport: keepAliveMillis", options.keepAliveMillis ?? 4_000)
    this.maxHeaderBytes = Range.whole("UndiciTransport: maxHeaderBytes", options.maxHeaderBytes ?? 16_384, 1)
  }
  for(connectTimeoutMillis: number): Agent {
    let agent = this.agents.get(connectTimeoutMillis)
    if (agent === undefined) {
      agent = new Agent({
        connections: this.connections,
        keepAliveTimeout: this.keepAliveMillis,
        maxHeaderSize: this.maxHeaderBytes,
        pipelining: 1,
        allowH2: false,
        connect: this.connector(connectTimeoutMillis),
        // The attempt's own timers bound both; undici's would only race them.
        headersTimeout: 0,
        bodyTimeout: 0
      })
      this.agents.set(connectTimeoutMillis, agent)
      if (this.isClosed) void agent.destroy()
    }
    return agent
  }
  async destroy(): Promise<void> {
    this.isClosed = true
    const destroyed = Promise.all(Array.from(this.agents.values(), (agent) => agent.destroy()))
    // A destroyed agent leaves the connections that are still coming about to their timeout.
    for (const socket of this.connecting) socket.destroy(abandoned)
    await destroyed
  }
  private connector(timeout: number): buildConnector.connector {
    // It returns its socket, which only its types keep secret (undici 8.12).
    const connect = buildConnector({ allowH2: false, timeout }) as (
      ...call: Parameters<buildConnector.connector>
    ) => Socket
    return (options, callback) => {
      const socket = connect(options, (...outcome) => {
        this.connecting.delete(socket)
        callback(...outcome)
      })
      this.connecting.add(socket)
    }
  }
}
