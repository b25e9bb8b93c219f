/**
 * Refuses requests to the control API that a page of another site makes a browser send. The control API listens on
 * loopback, but a browser on this machine reaches loopback for every page that it shows.
 */
import { AddressGuard } from "@breakwater/core/transport"
import type { HttpServerRequest } from "effect/http"
import * as Problem from "./Problem.ts"

/** Why a request is refused; `undefined` for one of this machine. */
export const refusalOf = (request: HttpServerRequest.HttpServerRequest): typeof Problem.Forbidden.Type | undefined =>
  refusal(request, false)

/** The same for the main port while it is this machine's. A page of another site may link to it. */
export const refusalOfMain = (
  request: HttpServerRequest.HttpServerRequest
): typeof Problem.Forbidden.Type | undefined => refusal(request, request.method === "GET" || request.method === "HEAD")

const refusal = (
  { headers }: HttpServerRequest.HttpServerRequest,
  isLinked: boolean
): typeof Problem.Forbidden.Type | undefined => {
  // A name of another site that resolves to loopback (DNS rebinding) is no name of this machine.
  const host = headers["host"] ?? ""
  if (!AddressGuard.isHere(host.replace(/:\d{1,5}$/, ""))) return Problem.forbidden("Host")
  // A page of another port of this machine is another site too.
  const origin = headers["origin"]
  if (origin !== undefined && origin !== `http://${host}`) return Problem.forbidden("Origin")
  // A link from the home page is "same-site". A page elsewhere on this machine cannot read the response, and a
  // browser sends an Origin with each write.
  const site = headers["sec-fetch-site"]
  if (!isLinked && site !== undefined && !["same-origin", "same-site", "none"].includes(site)) {
    return Problem.forbidden("Sec-Fetch-Site")
  }
  return undefined
}
