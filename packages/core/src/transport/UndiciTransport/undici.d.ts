declare module "undici/lib/core/connect.js" {
  const connect: unknown
  export default connect
}
declare module "undici/lib/core/errors.js" {
  const errors: unknown
  export default errors
}
declare module "undici/lib/dispatcher/agent.js" {
  const agent: unknown
  export default agent
}
declare module "undici/lib/dispatcher/pool.js" {
  const pool: unknown
  export default pool
}
declare module "undici/lib/dispatcher/pool-base.js" {
  const poolBase: { readonly kRemoveClient: symbol; readonly kDrainQueue: symbol }
  export default poolBase
}
