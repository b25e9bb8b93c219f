/** Fallbacks for a failing vendor: another vendor, part of the answer, a feature switched off. */
export * as Failover from "./Failover.ts"
export * as FeatureSwitch from "./FeatureSwitch.ts"
export * as Parts from "./Parts.ts"
