import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chromium } from "playwright-core"
import * as DemoServer from "../processes/DemoServer.ts"
import * as Requirements from "../setup/Requirements.ts"

/** Chromium's path on Debian and its derivatives; `CHROMIUM` overrides it. */
const executable = process.env["CHROMIUM"] ?? "/usr/bin/chromium"
const isInstalled = Requirements.isInstalled("chromium", executable)

describe("a page of the demo server", () => {
  it.live.skipIf(!isInstalled)(
    "shows the operations, or the tour, and loads nothing from other servers",
    () =>
      Effect.gen(function*() {
        const { control, url } = yield* DemoServer.start()
        const browser = yield* Effect.acquireRelease(
          Effect.promise(() =>
            chromium.launch({
              executablePath: executable,
              args: [
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync"
              ]
            })
          ),
          (browser) => Effect.promise(() => browser.close())
        )
        const asked: Array<string> = []
        yield* Effect.promise(async () => {
          const page = await browser.newPage()
          page.on("request", (request) => asked.push(request.url()))
          await page.goto(`${url}/docs`, { waitUntil: "networkidle" })
          await page.getByText("/rates/{base}/{quote}").first().waitFor({ timeout: 20_000 })
          await page.getByText("/payments/{id}/refunds").first().waitFor({ timeout: 20_000 })

          await page.setViewportSize({ width: 320, height: 640 })
          await page.goto(url)
          assert.strictEqual(await page.evaluate("document.documentElement.scrollWidth"), 320)
          await page.getByRole("heading", { name: "Break a vendor" }).waitFor()
          await page.getByRole("link", { name: "/rates/EUR/USD" }).click()
          await page.getByText("\"source\":\"frankfurter\"").waitFor()
          await page.goto(url)
          // The control API of another port serves what the link asks for.
          await page.getByRole("link", { name: "/_features" }).click()
          await page.getByText("\"feature\":\"rates\"").waitFor()
        })
        assert.isAbove(asked.length, 0)
        assert.deepStrictEqual(
          asked.filter((request) =>
            !request.startsWith(url) && !request.startsWith(control) && !/^(?:data|blob):/.test(request)
          ),
          []
        )
      }).pipe(Effect.scoped)
  )
})
