import { InvalidResponse, ResponseTooLarge } from "@breakwater/core/VendorError"
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import { answer, answering, type Row, type Section } from "./Row.ts"

const json = Buffer.from("{\"name\":\"anvil\"}")
const anvil = { name: "anvil" }

const tooLarge = new ResponseTooLarge(64 * 1024)
const invalid = (issue: string) => new InvalidResponse(200, issue)

/** 64 MiB of zeros, compressed several times in sequence where a format allows it. */
const nothing = Buffer.alloc(64 * 1024 * 1024)
const bombs = {
  gzip: Buffer.concat(Array.from({ length: 8 }, () => gzipSync(nothing.subarray(0, 8 * 1024 * 1024)))),
  deflate: deflateSync(nothing, { level: 1 }),
  br: brotliCompressSync(nothing, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  zstd: zstdCompressSync(nothing)
}

/** A sequence of empty gzip members: 60 KiB that decompress to nothing. */
const empties = Buffer.concat(Array.from({ length: 3_000 }, () => gzipSync("")))

/** A frame of zstd whose window would be 128 MiB (RFC 8878, section 3.1.1.1.2): a raw block of one byte, the last. */
const wideZstd = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x09, 0x00, 0x00, 0x7b])

const packed = (does: string, encoding: string, bytes: Buffer, gets: Row["gets"], more: Partial<Row> = {}): Row => ({
  does,
  server: answering(
    answer(bytes.toString("latin1"), ["content-type: application/json", `content-encoding: ${encoding}`])
  ),
  gets,
  connection: "kept",
  ...more
})

const bomb = (encoding: keyof typeof bombs) =>
  packed(`sends 64 MiB compressed with ${encoding}`, encoding, bombs[encoding], tooLarge, {
    isLarge: true,
    // A compressed body may itself be beyond this limit; then the connection is closed.
    policy: { maxResponseSize: 64 * 1024 },
    ...(bombs[encoding].length > 64 * 1024 ? { connection: "closed" } : {})
  })

export const packedBodies: Section = {
  title: "Compressed bodies",
  rows: [
    packed("compresses its body with gzip", "gzip", gzipSync(json), anvil),
    packed("compresses its body with gzip, under its old name", "X-GZIP", gzipSync(json), anvil),
    packed("compresses its body with deflate", "deflate", deflateSync(json), anvil),
    packed("compresses its body with deflate, without zlib's header", "deflate", deflateRawSync(json), anvil),
    packed("compresses its body with br", "br", brotliCompressSync(json), anvil),
    packed("compresses its body with zstd", "zstd", zstdCompressSync(json), anvil),
    packed(
      "compresses its body three times",
      "gzip, br, zstd",
      zstdCompressSync(brotliCompressSync(gzipSync(json))),
      anvil
    ),
    packed("sends an uncompressed body declared as identity", "identity", json, anvil),
    bomb("gzip"),
    bomb("deflate"),
    bomb("br"),
    bomb("zstd"),
    packed("sends 64 MiB compressed with gzip, twice", "gzip, gzip", gzipSync(bombs.gzip), tooLarge, {
      isLarge: true
    }),
    packed("sends thousands of empty gzip members", "gzip", empties, invalid("Expected a JSON body"), {
      isLarge: true
    }),
    packed(
      "compresses its body four times",
      "gzip, gzip, gzip, gzip",
      gzipSync(gzipSync(gzipSync(gzipSync(json)))),
      invalid("a content-encoding that was not asked for"),
      { connection: "closed" }
    ),
    packed(
      "compresses its body with an unrequested coding",
      "compress",
      json,
      invalid("a content-encoding that was not asked for"),
      { connection: "closed" }
    ),
    packed(
      "compresses its body although compression is off",
      "gzip",
      gzipSync(json),
      invalid("a content-encoding that was not asked for"),
      { connection: "closed", transport: { compression: false } }
    ),
    packed("declares gzip for an uncompressed body", "gzip", json, invalid("the gzip body is corrupt")),
    packed(
      "damages a compressed body",
      "gzip",
      Buffer.from(gzipSync(json).map((byte, index) => index === 14 ? byte ^ 0xff : byte)),
      invalid("the gzip body is corrupt")
    ),
    packed(
      "sends a wrong checksum for a compressed body",
      "gzip",
      Buffer.from(gzipSync(json).map((byte, index, { length }) => index === length - 8 ? byte ^ 1 : byte)),
      invalid("the gzip body is corrupt")
    ),
    packed("cuts a gzip body short", "gzip", gzipSync(json).subarray(0, -6), invalid("the gzip body is cut short")),
    packed(
      "cuts a deflate body short",
      "deflate",
      deflateSync(json).subarray(0, -6),
      invalid("the deflate body is cut short")
    ),
    packed("cuts a br body short", "br", brotliCompressSync(json).subarray(0, -1), invalid("the br body is cut short")),
    packed(
      "cuts a zstd body short",
      "zstd",
      zstdCompressSync(json).subarray(0, -1),
      invalid("the zstd body is cut short")
    ),
    packed(
      "hides data after a compressed body",
      "br",
      Buffer.concat([brotliCompressSync(json), Buffer.from("evil")]),
      invalid("the br body has data after its end")
    ),
    packed("compresses a body with a window of 128 MiB", "zstd", wideZstd, invalid("the zstd body is corrupt")),
    packed(
      "declares the codings in the wrong order",
      "br, gzip",
      brotliCompressSync(gzipSync(json)),
      invalid("the gzip body is corrupt")
    ),
    packed("declares gzip for an empty body", "gzip", Buffer.alloc(0), invalid("Expected a JSON body")),
    {
      does: "compresses a body without declaring it",
      server: answering(answer(gzipSync(json).toString("latin1"))),
      gets: invalid("Expected a JSON body"),
      connection: "kept"
    },
    {
      does: "declares a compressed body on a HEAD",
      call: "probe",
      server: answering(answer("", ["content-encoding: gzip"])),
      gets: { name: "probed" }
    },
    {
      does: "declares a compressed body on 204 No Content",
      server: answering("HTTP/1.1 204 No Content\r\ncontent-encoding: gzip\r\n\r\n"),
      gets: new InvalidResponse(204, "status 204 is not part of the contract"),
      connection: "kept"
    }
  ]
}
