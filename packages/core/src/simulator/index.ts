/** Simulated vendors for development and tests, served from their contracts. `@breakwater/core/simulator`. */
export * as Simulator from "./Simulator.ts"
