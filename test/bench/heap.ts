/** Bytes of heap and buffers in use after two full collections: the first one leaves objects with finalizers. */
export const heapInUse = async (): Promise<number> => {
  for (let collection = 0; collection < 2; collection++) {
    await new Promise((resolve) => setImmediate(resolve))
    globalThis.gc?.()
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
