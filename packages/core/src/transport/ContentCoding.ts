/**
 * Bodies that come packed: gzip, deflate, br, zstd, or a few of them one around the other (RFC 9110, section 8.4).
 *
 * Unpacking is where an answer of some kilobytes becomes gigabytes. What comes out is counted while it comes out, of each
 * layer, and nothing goes on beyond the limit or after it was cancelled.
 */
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress
} from "node:zlib"

export type ContentCoding = "br" | "deflate" | "gzip" | "zstd"

/** All of them, as a request asks for them. */
export const accepted = "gzip, deflate, br, zstd"

/** Nobody packs twice but by mistake, or to hide a bomb. */
const maxLayers = 3

const codings: ReadonlyMap<string, ContentCoding> = new Map<string, ContentCoding>([
  ["br", "br"],
  ["deflate", "deflate"],
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["zstd", "zstd"]
])

/** How a body was packed, in the order in which it was; `undefined` when it cannot be unpacked. */
export const parse = (contentEncoding: string | ReadonlyArray<string>): ReadonlyArray<ContentCoding> | undefined => {
  const list = typeof contentEncoding === "string" ? contentEncoding : contentEncoding.join(",")
  const layers: Array<ContentCoding> = []
  for (const element of list.split(",")) {
    const name = element.trim().toLowerCase()
    // Empty elements of a list are passed over (RFC 9110, section 5.6.1.2).
    if (name === "" || name === "identity") continue
    const coding = codings.get(name)
    if (coding === undefined || layers.length === maxLayers) return undefined
    layers.push(coding)
  }
  return layers
}

/** What unpacking comes to: the body, or what is wrong with it. */
export type Unpacked =
  | { readonly _tag: "Body"; readonly body: Uint8Array }
  | { readonly _tag: "TooLarge" }
  | { readonly _tag: "Broken"; readonly issue: string }

/** Unpacks a body, off the main thread; `done` is called once and later, unless the returned function is called before. */
export const unpack = (
  layers: ReadonlyArray<ContentCoding>,
  packed: Uint8Array,
  maxBytes: number,
  done: (unpacked: Unpacked) => void
): () => void => {
  let cancelLayer: () => void
  const peel = (left: number, bytes: Uint8Array): void => {
    cancelLayer = unpackLayer(layers[left - 1]!, bytes, maxBytes, (unpacked) => {
      if (unpacked._tag !== "Body" || left === 1) done(unpacked)
      else peel(left - 1, unpacked.body)
    })
  }
  peel(layers.length, packed)
  return () => cancelLayer()
}

const unpackLayer = (
  coding: ContentCoding,
  packed: Uint8Array,
  maxBytes: number,
  done: (unpacked: Unpacked) => void
): () => void => {
  const engine = engineOf(coding, packed)
  const chunks: Array<Buffer> = []
  let size = 0
  const end = (unpacked: Unpacked): void => {
    engine.removeAllListeners()
    // A destroyed engine may still tell of an error.
    engine.on("error", () => {})
    engine.destroy()
    done(unpacked)
  }
  engine.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBytes) end({ _tag: "TooLarge" })
    else chunks.push(chunk)
  })
  engine.on("end", () => {
    end(
      engine.bytesWritten < packed.length
        ? { _tag: "Broken", issue: `the ${coding} body goes on behind its end` }
        : { _tag: "Body", body: chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size) }
    )
  })
  engine.on("error", (error: Error & { readonly code?: unknown }) => {
    end({ _tag: "Broken", issue: `the ${coding} body is ${error.code === "Z_BUF_ERROR" ? "cut short" : "corrupt"}` })
  })
  engine.end(packed)
  return () => {
    engine.removeAllListeners()
    engine.on("error", () => {})
    engine.destroy()
  }
}

const engineOf = (coding: ContentCoding, packed: Uint8Array) => {
  const chunkSize = Math.min(Math.max(packed.length * 4, 4_096), 65_536)
  switch (coding) {
    case "br":
      return createBrotliDecompress({ chunkSize })
    case "deflate":
      // Some servers send it without zlib's header, whose first byte ends in 8 (RFC 1950, section 2.2).
      return (packed[0]! & 0x0f) === 0x08 ? createInflate({ chunkSize }) : createInflateRaw({ chunkSize })
    case "gzip":
      return createGunzip({ chunkSize })
    case "zstd":
      return createZstdDecompress({
        chunkSize,
        // A frame names the window that is to be allocated for it; 8 MiB are allowed (RFC 9659, section 3).
        params: { [constants.ZSTD_d_windowLogMax]: 23 }
      })
  }
}
