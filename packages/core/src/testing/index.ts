/** Tools for testing code that calls vendors. `@breakwater/core/testing`. */
export * as Recorder from "./Recorder.ts"
