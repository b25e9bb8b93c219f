/**
 * Line charts as SVG: panels side by side under one legend. Text is text, the background is the page's, and the colours
 * are of a middle brightness, to be read on white and on dark. No more than the bench needs.
 */

export interface Point {
  readonly x: number
  readonly y: number
}

interface Series {
  /** In the legend; a name that is in several panels is there once. */
  readonly name: string
  /** In the order of x; where y is not finite the line is interrupted. */
  readonly points: ReadonlyArray<Point>
  /** Text beside the last point, where there is room for it. */
  readonly label?: string | undefined
  /** Points that are not joined, each with a mark. @default false */
  readonly isScatter?: boolean | undefined
}

interface Axis {
  /** The quantity, with its unit. */
  readonly label: string
  /** @default "linear" */
  readonly scale?: "linear" | "log" | undefined
  /** @default the smallest value; 0 where that is linear and near */
  readonly from?: number | undefined
  /** @default the largest value */
  readonly to?: number | undefined
  /** Positions of the grid lines. @default about five round numbers */
  readonly ticks?: ReadonlyArray<number> | undefined
  /** @default at most three figures */
  readonly format?: ((value: number) => string) | undefined
}

interface Panel {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: ReadonlyArray<Series>
  /** A span of x that is shaded, and what happens in it. */
  readonly span?: { readonly from: number; readonly to: number; readonly label: string } | undefined
  /** A height that something is held to; its label lies under the line at the right, or over it at the left. */
  readonly line?: { readonly y: number; readonly label: string; readonly isLabelLeft?: boolean } | undefined
}

export interface Figure {
  readonly panels: ReadonlyArray<Panel>
  /** Panels in a row. @default 2 */
  readonly columns?: number | undefined
  /** The style of a series by its name; the first style is for the subject of the picture. */
  readonly styles: Readonly<Record<string, Style>>
}

export interface Style {
  readonly colour: string
  /** As in SVG's `stroke-dasharray`. @default a whole line */
  readonly dash?: string | undefined
  /** @default 1.6 */
  readonly width?: number | undefined
}

/** Contrast of at least 3 with white and with GitHub's dark page. */
export const colours = {
  blue: "#2f7fe6",
  orange: "#d6700f",
  green: "#2a9d4c",
  red: "#e0524a",
  purple: "#9a6ae8",
  teal: "#14979b",
  brown: "#a3713c",
  pink: "#d1479b",
  grey: "#858b93"
} as const

const ink = "#7a7f87"
const figureWidth = 880
const panelHeight = 300
const margin = { left: 64, right: 24, top: 34, bottom: 50 }
const font = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"

/** Draws it. */
export const draw = ({ columns = 2, panels, styles }: Figure): string => {
  const names = [...new Set(panels.flatMap(({ series }) => series.map(({ name }) => name)))]
  const legend = legendOf(names, styles)
  const across = Math.min(columns, panels.length)
  const panelWidth = figureWidth / across
  const height = legend.height + Math.ceil(panels.length / across) * panelHeight
  const drawn = panels.map((panel, at) =>
    group(
      (at % across) * panelWidth,
      legend.height + Math.floor(at / across) * panelHeight,
      drawPanel(panel, panelWidth, styles, at)
    )
  )
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${figureWidth} ${height}" width="${figureWidth}" height="${height}" font-family="${font}" font-size="12" fill="${ink}">`,
    legend.svg,
    ...drawn,
    "</svg>",
    ""
  ].join("\n")
}

const legendOf = (names: ReadonlyArray<string>, styles: Figure["styles"]) => {
  let x = 10
  let y = 18
  const parts = names.map((name) => {
    // There is nothing to measure text with; this is a generous guess.
    const width = 44 + name.length * 6.9
    if (x + width > figureWidth) {
      x = 10
      y += 20
    }
    const part = `<path d="M${x} ${y - 4}h24" ${stroke(styles[name])}/><text x="${x + 30}" y="${y}">${
      escape(name)
    }</text>`
    x += width
    return part
  })
  return { svg: parts.join("\n"), height: y + 14 }
}

const drawPanel = (panel: Panel, width: number, styles: Figure["styles"], index: number): string => {
  const inner = { width: width - margin.left - margin.right, height: panelHeight - margin.top - margin.bottom }
  const all = panel.series.flatMap(({ points }) => points).filter(({ y }) => Number.isFinite(y))
  const xs = scaleOf(panel.x, all.map(({ x }) => x), 0, inner.width)
  const ys = scaleOf(
    panel.y,
    [...all.map(({ y }) => y), ...(panel.line === undefined ? [] : [panel.line.y])],
    inner.height,
    0
  )
  const parts = [
    `<text x="${inner.width / 2}" y="-14" text-anchor="middle" font-size="13" font-weight="600">${
      escape(panel.title)
    }</text>`
  ]
  if (panel.span !== undefined) {
    const [from, to] = [xs.at(panel.span.from), xs.at(panel.span.to)]
    parts.push(
      `<rect x="${round(from)}" y="0" width="${
        round(to - from)
      }" height="${inner.height}" fill="${ink}" fill-opacity="0.13"/>`,
      `<text x="${round((from + to) / 2)}" y="12" text-anchor="middle" font-size="11">${
        escape(panel.span.label)
      }</text>`
    )
  }
  for (const tick of ys.ticks) {
    const y = round(ys.at(tick))
    parts.push(
      `<path d="M0 ${y}H${inner.width}" stroke="${ink}" stroke-opacity="0.25"/>`,
      `<text x="-7" y="${round(y + 4)}" text-anchor="end" font-size="11">${escape(ys.format(tick))}</text>`
    )
  }
  for (const tick of xs.ticks) {
    const x = round(xs.at(tick))
    parts.push(
      `<path d="M${x} ${inner.height}v5" stroke="${ink}"/>`,
      `<text x="${x}" y="${inner.height + 18}" text-anchor="middle" font-size="11">${escape(xs.format(tick))}</text>`
    )
  }
  parts.push(
    `<path d="M0 0V${inner.height}H${inner.width}" fill="none" stroke="${ink}"/>`,
    `<text x="${inner.width / 2}" y="${inner.height + 38}" text-anchor="middle">${escape(panel.x.label)}</text>`,
    `<text transform="translate(-48 ${inner.height / 2}) rotate(-90)" text-anchor="middle">${
      escape(panel.y.label)
    }</text>`
  )
  if (panel.line !== undefined) {
    const y = round(ys.at(panel.line.y))
    const place = panel.line.isLabelLeft === true
      ? `x="4" y="${round(y - 5)}" text-anchor="start"`
      : `x="${inner.width - 4}" y="${round(y + 14)}" text-anchor="end"`
    parts.push(
      `<path d="M0 ${y}H${inner.width}" stroke="${ink}" stroke-dasharray="2 3"/>`,
      `<text ${place} font-size="11">${escape(panel.line.label)}</text>`
    )
  }
  const clip = `panel${index}`
  parts.push(
    `<clipPath id="${clip}"><rect x="-5" y="-5" width="${inner.width + 10}" height="${inner.height + 10}"/></clipPath>`
  )
  // The first is drawn last, on top of the others.
  for (const series of panel.series.toReversed()) {
    parts.push(
      series.isScatter === true
        ? marksOf(series, xs, ys, styles[series.name])
        : `<path clip-path="url(#${clip})" d="${pathOf(series.points, xs, ys)}" ${stroke(styles[series.name])}/>`
    )
    const last = series.points.findLast(({ y }) => Number.isFinite(y))
    if (series.label !== undefined && last !== undefined) {
      const x = xs.at(last.x)
      const fits = x + 10 + series.label.length * 6.2 < inner.width
      parts.push(
        `<text x="${round(fits ? x + 8 : x - 8)}" y="${round(ys.at(last.y) - 7)}" text-anchor="${
          fits ? "start" : "end"
        }" font-size="11">${escape(series.label)}</text>`
      )
    }
  }
  return group(margin.left, margin.top, parts.join("\n"))
}

interface Scale {
  readonly at: (value: number) => number
  readonly ticks: ReadonlyArray<number>
  readonly format: (value: number) => string
}

const scaleOf = (axis: Axis, values: ReadonlyArray<number>, low: number, high: number): Scale => {
  const isLog = axis.scale === "log"
  const smallest = Math.min(...values)
  const from = axis.from ?? (isLog ? smallest : Math.min(0, smallest))
  const to = axis.to ?? Math.max(...values)
  const project = isLog ? Math.log10 : (value: number) => value
  const [start, end] = [project(from), project(to)]
  return {
    // Values outside of a logarithmic scale, above all 0, are drawn on its edge.
    at: (value) => low + (high - low) * (project(isLog ? Math.max(value, from) : value) - start) / (end - start),
    ticks: axis.ticks ?? (isLog ? decades(from, to) : rounds(from, to)),
    format: axis.format ?? figures
  }
}

const decades = (from: number, to: number) => {
  const ticks = []
  for (let power = Math.ceil(Math.log10(from) - 1e-9); power <= Math.log10(to) + 1e-9; power++) ticks.push(10 ** power)
  return ticks
}

const rounds = (from: number, to: number) => {
  const rough = (to - from) / 5
  const magnitude = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].map((times) => times * magnitude).find((step) => step >= rough) ?? rough
  const ticks = []
  for (let tick = Math.ceil(from / step - 1e-9) * step; tick <= to + step * 1e-9; tick += step) ticks.push(tick)
  return ticks
}

const figures = (value: number) => String(Number(value.toPrecision(3)))

/** A share as a percentage. */
export const percent = (share: number): string => `${figures(share * 100)} %`

const pathOf = (points: ReadonlyArray<Point>, xs: Scale, ys: Scale): string => {
  let isBroken = true
  return points.map(({ x, y }) => {
    if (!Number.isFinite(y)) {
      isBroken = true
      return ""
    }
    const step = `${isBroken ? "M" : "L"}${round(xs.at(x))} ${round(ys.at(y))}`
    isBroken = false
    return step
  }).join("")
}

const marksOf = ({ points }: Series, xs: Scale, ys: Scale, style: Style | undefined): string =>
  points.map(({ x, y }) =>
    `<circle cx="${round(xs.at(x))}" cy="${round(ys.at(y))}" r="5" fill="${style?.colour ?? ink}"/>`
  ).join("\n")

const stroke = (style: Style | undefined) =>
  `fill="none" stroke="${style?.colour ?? ink}" stroke-width="${style?.width ?? 1.6}" stroke-linejoin="round"${
    style?.dash === undefined ? "" : ` stroke-dasharray="${style.dash}"`
  }`

const group = (x: number, y: number, content: string) => `<g transform="translate(${x} ${y})">\n${content}\n</g>`

const round = (value: number) => Math.round(value * 10) / 10

const escape = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;")
