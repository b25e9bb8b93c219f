/** `GET /`: a tour of the server for a person, with links to open and commands to paste. It loads nothing from anywhere. */
import * as Effect from "effect/Effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Layer from "effect/Layer"
import { ControlPort } from "./Control.ts"

export const path = "/"

/** Adds the page. It shows the control API and the metrics only where the port is this machine's. */
export const layer = (options: { readonly isLocal: boolean }) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const router = yield* HttpRouter.HttpRouter
      const control = yield* ControlPort
      yield* router.add(
        "GET",
        path,
        Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
          const host = shownHost(headers["host"])
          return HttpServerResponse.text(
            page(host, options.isLocal ? `${host.replace(/:\d+$/, "")}:${control}` : undefined),
            {
              contentType: "text/html; charset=utf-8",
              headers: { "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'" }
            }
          )
        })
      )
    })
  )

/** The address that the reader used. It is only displayed, and only if nothing in it has to be escaped. */
const shownHost = (host: string | undefined): string =>
  host !== undefined && /^(?:[\w.-]{1,253}|\[[\da-f:.]{2,45}\])(?::\d{1,5})?$/i.test(host) ? host : "localhost:3000"

const page = (host: string, control: string | undefined): string =>
  `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Breakwater demo</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Breakwater demo</h1>
<p>This server answers with exchange rates, countries and payments from third parties. Breakwater guards each call.</p>
<h2>Look</h2>
<ul>
${links(control !== undefined).map(([href, text]) => `<li><a href="${href}">${href}</a>: ${text}</li>`).join("\n")}
</ul>
<h2>Take a payment</h2>
${
    command(
      "Take a payment",
      `curl http://${host}/payments \\
  -H 'content-type: application/json' -H 'idempotency-key: order-1' \\
  -d '{"amount":1999,"currency":"EUR","paymentMethod":"pm_card_visa","reference":"order-1"}'`
    )
  }
<p>Send it twice: the money is taken once.</p>
${control === undefined ? "" : tour(host, control)}</main>
</body>
</html>
`

const links = (isLocal: boolean): ReadonlyArray<readonly [href: string, text: string]> => [
  ["/rates/EUR/USD", "an exchange rate, and where it comes from"],
  ["/countries/DE", "a country"],
  ["/checkout-context?country=US", "a page of three parts, each of which may be missing"],
  ["/health/ready", "the features, and the circuits of the vendors"],
  ["/docs", "the reference of all requests"],
  ["/openapi.json", "the same for programs"],
  ...(isLocal ? [["/metrics", "the metrics, for Prometheus"] as const] : [])
]

const tour = (host: string, control: string): string =>
  `<h2>Break a vendor</h2>
<p>The control API listens for this machine only. It breaks and mends the simulated vendors.</p>
<ul>
<li><a href="http://${control}/_simulators">http://${control}/_simulators</a>: the vendors, and their faults</li>
<li><a href="http://${control}/_features">http://${control}/_features</a>: the features, which can be switched off</li>
<li><a href="http://${control}/_journal/frankfurter">http://${control}/_journal/frankfurter</a>: the requests that a vendor received</li>
</ul>
<p>Frankfurter refuses connections, and the rate comes from another vendor:</p>
${
    command(
      "Break Frankfurter",
      `curl -X PUT http://${control}/_faults/frankfurter \\
  -H 'content-type: application/json' -d '{"kind":"refuse"}'
curl http://${host}/rates/EUR/GBP`
    )
  }
<p>Frankfurter is back:</p>
${command("Mend Frankfurter", `curl -X DELETE http://${control}/_faults/frankfurter`)}
`

/** A command scrolls inside its box, so the box can have the focus of a keyboard. */
const command = (label: string, text: string): string =>
  `<pre tabindex="0" role="region" aria-label="${label}"><code>${
    text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
  }</code></pre>`

const style =
  `:root{color-scheme:light dark;font:100%/1.5 system-ui,sans-serif}body{margin:0}main{max-width:46rem;margin:auto;padding:1.5rem}` +
  `h1{font-size:1.8rem;margin:0}h2{font-size:1.2rem;margin:1.6rem 0 .4rem}ul{padding-left:1.2rem}li{margin:.3rem 0;overflow-wrap:anywhere}` +
  `pre{overflow-x:auto;padding:.8rem 1rem;border:1px solid;border-radius:.4rem;margin:.6rem 0}:focus-visible{outline:3px solid;outline-offset:2px}`
