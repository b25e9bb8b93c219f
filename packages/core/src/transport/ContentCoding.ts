/**
 * Compressed bodies: gzip, deflate, br, zstd, or a few of them applied in turn (RFC 9110, section 8.4).
 *
 * Decompression can turn a response of some kilobytes into gigabytes. The output of each layer is counted as it is
 * produced, and decompression stops at the limit and on cancellation.
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

/** All codings, as the value of `Accept-Encoding`. */
export const accepted = "gzip, deflate, br, zstd"

/** A body is compressed more than once only by mistake, or to hide a decompression bomb. */
const maxLayers = 3

const codings: ReadonlyMap<string, ContentCoding> = new Map<string, ContentCoding>([
  ["br", "br"],
  ["deflate", "deflate"],
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["zstd", "zstd"]
])

/** The codings of a body, in the order of their application; `undefined` if one is unknown or there are too many. */
export const parse = (contentEncoding: string | ReadonlyArray<string>): ReadonlyArray<ContentCoding> | undefined => {
  const list = typeof contentEncoding === "string" ? contentEncoding : contentEncoding.join(",")
  const layers: Array<ContentCoding> = []
  for (const element of list.split(",")) {
    const name = element.trim().toLowerCase()
    // Empty elements of a list are ignored (RFC 9110, section 5.6.1.2).
    if (name === "" || name === "identity") continue
    const coding = codings.get(name)
    if (coding === undefined || layers.length === maxLayers) return undefined
    layers.push(coding)
  }
  return layers
}

/** The result of decompression: the body, or what is wrong with it. */
export type Unpacked =
  | { readonly _tag: "Body"; readonly body: Uint8Array }
  | { readonly _tag: "TooLarge" }
  | { readonly _tag: "Broken"; readonly issue: string }

/**
 * Decompresses a body, off the main thread. Calls `done` once and asynchronously, unless the returned function has
 * cancelled it.
 */
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
    // A destroyed engine may still emit an error.
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
        ? { _tag: "Broken", issue: `the ${coding} body has data after its end` }
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
      // Some servers omit zlib's header, whose first byte ends in 8 (RFC 1950, section 2.2).
      return (packed[0]! & 0x0f) === 0x08 ? createInflate({ chunkSize }) : createInflateRaw({ chunkSize })
    case "gzip":
      return createGunzip({ chunkSize })
    case "zstd":
      return createZstdDecompress({
        chunkSize,
        // A frame declares the window to allocate; 8 MiB are allowed (RFC 9659, section 3).
        params: { [constants.ZSTD_d_windowLogMax]: 23 }
      })
  }
}
