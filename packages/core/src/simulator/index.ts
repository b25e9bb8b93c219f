/** A vendor to develop and test against, served from its contract. `@breakwater/core/simulator`. */
export * as Simulator from "./Simulator.ts"
