/** Methods of each page and endpoint: the answer to `OPTIONS`, and to a method that a path does not have. */
import { HttpServerResponse } from "effect/http"
import { HttpApi, type HttpApiGroup } from "effect/http-api"
import * as Problem from "./Problem.ts"

/** Finds the response to a method that no route has; `undefined` when there is no such path. */
export type Methods = (method: string, url: string) => HttpServerResponse.HttpServerResponse | undefined

/** Reads the methods from the contract; pages beside it are read with `GET`. */
export const make = <Id extends string, Groups extends HttpApiGroup.Constraint>(
  api: HttpApi.HttpApi<Id, Groups>,
  pages: ReadonlyArray<string>
): Methods => {
  const routes = pages.map((path) => ({ method: "GET" as string, pattern: patternOf(path) }))
  HttpApi.reflect(api, {
    onGroup: () => {},
    onEndpoint: ({ endpoint: { method, path } }) => {
      routes.push({ method, pattern: patternOf(path) })
    }
  })
  return (method, url) => {
    const path = url.split("?", 1)[0]!
    const found = routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ method }) =>
      method === "GET" ? ["GET", "HEAD"] : [method]
    )
    if (found.length === 0) return undefined
    const headers = { allow: [...new Set([...found, "OPTIONS"])].join(", ") }
    return method === "OPTIONS"
      ? HttpServerResponse.empty({ status: 204, headers })
      : HttpServerResponse.jsonUnsafe(Problem.methodNotAllowed, { status: 405, headers })
  }
}

/** Like the router's own: names of parameters are for one segment, and a slash at the end is another path. */
const patternOf = (template: string): RegExp =>
  new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/]+")}$`)
