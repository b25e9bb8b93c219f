// Run in a fresh process: `node importOf.mjs URL...`, milliseconds of the main thread's CPU that importing the modules takes.
const before = process.threadCpuUsage()
await Promise.all(process.argv.slice(2).map((url) => import(url)))
const { system, user } = process.threadCpuUsage(before)
console.log((user + system) / 1_000)
