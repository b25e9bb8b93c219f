/** What helps to test code that calls vendors. `@breakwater/core/testing`. */
export * as Recorder from "./Recorder.ts"
