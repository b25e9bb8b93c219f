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
