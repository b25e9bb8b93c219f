import { assert, describe, it } from "@effect/vitest"
import { draw, type Figure } from "./Plot.ts"

const panel: Figure["panels"][number] = {
  title: "Load & failures",
  x: { label: "time (s)" },
  y: { label: "calls" },
  series: [
    { name: "ours", points: [{ x: 0, y: 0 }, { x: 10, y: 100 }] },
    { name: "<peer>", points: [{ x: 0, y: 50 }, { x: 5, y: NaN }, { x: 10, y: 50 }] }
  ]
}
const styles = { "ours": { colour: "#2f7fe6" }, "<peer>": { colour: "#e0524a", dash: "6 3" } }
const pathsOf = (svg: string, colour: string) =>
  [...svg.matchAll(/<path clip-path="[^"]*" d="([^"]*)" fill="none" stroke="([^"]*)"/g)]
    .filter(([, , stroke]) => stroke === colour).map(([, d]) => d)

describe("Plot", () => {
  it("draws each series over the whole panel, from the lower left to the upper right", () => {
    const [path] = pathsOf(draw({ panels: [panel], styles }), "#2f7fe6")
    // 880 wide less the margins of 64 and 24; 300 high less 34 and 50.
    assert.strictEqual(path, "M0 216L792 0")
  })

  it("interrupts a line where there is no value", () => {
    const [path] = pathsOf(draw({ panels: [panel], styles }), "#e0524a")
    assert.strictEqual(path, "M0 108M792 108")
  })

  it("spaces the decades of a logarithmic axis evenly, and puts values below it on its edge", () => {
    const svg = draw({
      panels: [{
        ...panel,
        y: { label: "calls (log)", scale: "log", from: 1, to: 100 },
        series: [{ name: "ours", points: [{ x: 0, y: 0 }, { x: 1, y: 10 }, { x: 2, y: 100 }] }]
      }],
      styles
    })
    assert.deepStrictEqual(pathsOf(svg, "#2f7fe6"), ["M0 216L396 108L792 0"])
    for (const tick of ["1", "10", "100"]) assert.include(svg, `font-size="11">${tick}</text>`)
  })

  it("names each series once, however many panels it is in, and escapes what would be markup", () => {
    const svg = draw({ panels: [panel, panel], styles })
    assert.strictEqual(svg.split(">&lt;peer></text>").length - 1, 1)
    assert.strictEqual(svg.split(">Load &amp; failures</text>").length - 1, 2)
    assert.notInclude(svg, "<peer>")
  })
})
