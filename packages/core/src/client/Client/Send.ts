/**
 * The last step of a client: sends the request through the transport, with the headers of every request to this vendor.
 */
import type * as HttpApi from "effect/http-api/HttpApi"
import type { Limits } from "../../stack/Policy.ts"
import type { Transport } from "../../transport/Transport.ts"
import type { CompiledOperation } from "../Contract.ts"
import type { Declaration } from "../Declaration.ts"
import { AttemptReceiver } from "./Response.ts"
import type { Step } from "./Step.ts"

const defaultUserAgent = "breakwater/0.1"

export const step = (
  transport: Transport["Service"],
  baseUrl: URL,
  declaration: Declaration<HttpApi.Constraint>,
  operation: CompiledOperation,
  limits: Limits
): Step => {
  const { method } = operation
  const { origin } = baseUrl
  const basePath = baseUrl.pathname.replace(/\/+$/, "")
  const { connectMillis: connectTimeoutMillis, maxResponseBytes: maxBodyBytes } = limits
  const maxRedirects = declaration.redirects ?? 0
  const fixedHeaders = [
    "user-agent",
    declaration.userAgent ?? defaultUserAgent,
    "accept",
    "application/json",
    ...(declaration.version === undefined ? [] : [declaration.version.header, declaration.version.value]),
    ...Object.entries(declaration.headers ?? {}).flat()
  ]
  return (request, attempt, settle) =>
    transport.send(
      {
        method,
        origin,
        path: basePath + request.path,
        headers: [...fixedHeaders, ...request.headers],
        body: request.body,
        connectTimeoutMillis,
        maxBodyBytes,
        maxRedirects
      },
      new AttemptReceiver(declaration, operation, request, attempt, settle)
    )
}
