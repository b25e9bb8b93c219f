/**
 * A map for very many keys, each with a value and a few numbers, ordered by insertion. It is about as small as its
 * content. It grows by one bucket (linear hashing, Litwin 1980) and one segment of slots at a time, so no call pays for
 * a full rehash as with a `Map`. It never shrinks until it is cleared. Choose a `Map` for up to some ten thousand keys.
 * Sizes without a source are our own judgement.
 */

/** The absence of a slot. */
export const none = -1

/** Slots of a segment. The first segment grows to this size by doubling. */
const segmentSize = 1_024
const segmentBits = 10
/** Initial number of slots and buckets. */
const smallest = 16

/** Indexes of a slot's links, 32 bits each. */
const hashOf = 0
const nextInBucket = 1
const olderThan = 2
const newerThan = 3
const links = 4

interface Segment<V> {
  readonly keys: Array<string | undefined>
  readonly values: Array<V | undefined>
  links: Int32Array
  numbers: Float64Array
}

export class KeyTable<V> {
  size = 0
  /** The slots of the oldest and the newest key. */
  oldest = none
  newest = none
  private readonly width: number
  private segments: Array<Segment<V>> = []
  /** Number of slots ever taken, and the first slot of the free list. */
  private taken = 0
  private free = none
  /** The first slot of each bucket, also in segments. */
  private heads: Array<Int32Array> = []
  /** Buckets of this round of growth, a power of 2, and how many of them have been split. */
  private round = smallest
  private split = 0

  /** `width` is the number of numbers kept with each key. */
  constructor(width: number) {
    this.width = width
  }

  /** The slot of a key; `none` if the key is absent. */
  find(key: string): number {
    if (this.size === 0) return none
    const hash = fingerprint(key)
    for (let slot = this.head(this.bucketOf(hash)); slot !== none; slot = this.link(slot, nextInBucket)) {
      if (this.link(slot, hashOf) === hash && this.key(slot) === key) return slot
    }
    return none
  }
  /** Takes a slot for an absent key, as the newest. The caller sets its numbers. */
  add(key: string, value: V): number {
    this.grow()
    const slot = this.takeSlot()
    const segment = this.segments[slot >> segmentBits]!
    segment.keys[slot & (segmentSize - 1)] = key
    segment.values[slot & (segmentSize - 1)] = value
    const hash = fingerprint(key)
    this.setLink(slot, hashOf, hash)
    this.hang(slot, this.bucketOf(hash))
    this.append(slot)
    this.size++
    return slot
  }
  remove(slot: number): void {
    this.unhang(slot, this.bucketOf(this.link(slot, hashOf)))
    this.detach(slot)
    const segment = this.segments[slot >> segmentBits]!
    segment.keys[slot & (segmentSize - 1)] = undefined
    segment.values[slot & (segmentSize - 1)] = undefined
    this.setLink(slot, nextInBucket, this.free)
    this.free = slot
    this.size--
  }
  /** Makes a slot the newest. */
  renew(slot: number): void {
    this.detach(slot)
    this.append(slot)
  }
  clear(): void {
    this.segments = []
    this.heads = []
    this.round = smallest
    this.size = this.taken = this.split = 0
    this.free = this.oldest = this.newest = none
  }

  key(slot: number): string {
    return this.segments[slot >> segmentBits]!.keys[slot & (segmentSize - 1)]!
  }
  value(slot: number): V {
    return this.segments[slot >> segmentBits]!.values[slot & (segmentSize - 1)]!
  }
  number(slot: number, index: number): number {
    return this.segments[slot >> segmentBits]!.numbers[(slot & (segmentSize - 1)) * this.width + index]!
  }
  setNumber(slot: number, index: number, value: number): void {
    this.segments[slot >> segmentBits]!.numbers[(slot & (segmentSize - 1)) * this.width + index] = value
  }
  /** The next newer slot; `none` after the newest. */
  newer(slot: number): number {
    return this.link(slot, newerThan)
  }

  /** The slots in use, in no particular order. The table may change during the iteration. */
  *slots(): IterableIterator<number> {
    for (let slot = 0; slot < this.taken; slot++) if (this.key(slot) !== undefined) yield slot
  }

  private link(slot: number, which: number): number {
    return this.segments[slot >> segmentBits]!.links[(slot & (segmentSize - 1)) * links + which]!
  }
  private setLink(slot: number, which: number, value: number): void {
    this.segments[slot >> segmentBits]!.links[(slot & (segmentSize - 1)) * links + which] = value
  }

  private append(slot: number): void {
    this.setLink(slot, olderThan, this.newest)
    this.setLink(slot, newerThan, none)
    if (this.newest === none) this.oldest = slot
    else this.setLink(this.newest, newerThan, slot)
    this.newest = slot
  }
  private detach(slot: number): void {
    const older = this.link(slot, olderThan)
    const newer = this.link(slot, newerThan)
    if (older === none) this.oldest = newer
    else this.setLink(older, newerThan, newer)
    if (newer === none) this.newest = older
    else this.setLink(newer, olderThan, older)
  }

  private takeSlot(): number {
    const slot = this.free
    if (slot !== none) {
      this.free = this.link(slot, nextInBucket)
      return slot
    }
    const last = this.segments.at(-1)
    const first = (this.segments.length - 1) * segmentSize
    if (last === undefined || this.taken - first === segmentSize) {
      const size = last === undefined ? smallest : segmentSize
      this.segments.push({
        keys: [],
        values: [],
        links: new Int32Array(size * links),
        numbers: new Float64Array(size * this.width)
      })
    } else if ((this.taken - first) * links === last.links.length) {
      last.links = doubled(last.links, new Int32Array(last.links.length * 2))
      last.numbers = doubled(last.numbers, new Float64Array(last.numbers.length * 2))
    }
    return this.taken++
  }

  private bucketOf(hash: number): number {
    const bucket = hash & (this.round - 1)
    return bucket < this.split ? hash & (this.round * 2 - 1) : bucket
  }
  private head(bucket: number): number {
    return this.heads[bucket >> segmentBits]![bucket & (segmentSize - 1)]!
  }
  private setHead(bucket: number, slot: number): void {
    this.heads[bucket >> segmentBits]![bucket & (segmentSize - 1)] = slot
  }
  private hang(slot: number, bucket: number): void {
    this.setLink(slot, nextInBucket, this.head(bucket))
    this.setHead(bucket, slot)
  }
  private unhang(slot: number, bucket: number): void {
    const next = this.link(slot, nextInBucket)
    let before = this.head(bucket)
    if (before === slot) return this.setHead(bucket, next)
    while (this.link(before, nextInBucket) !== slot) before = this.link(before, nextInBucket)
    this.setLink(before, nextInBucket, next)
  }
  /** Adds a bucket when there is one per key, and moves the keys that belong to it. */
  private grow(): void {
    const buckets = this.round + this.split
    if (this.heads.length === 0) this.heads.push(new Int32Array(smallest).fill(none))
    if (this.size < buckets) return
    const last = this.heads.at(-1)!
    if (buckets % segmentSize === 0) this.heads.push(new Int32Array(segmentSize).fill(none))
    else if (buckets % segmentSize === last.length) {
      this.heads[this.heads.length - 1] = doubled(last, new Int32Array(last.length * 2).fill(none))
    }
    const { round, split } = this
    let slot = this.head(split)
    this.setHead(split, none)
    while (slot !== none) {
      const next = this.link(slot, nextInBucket)
      this.hang(slot, (this.link(slot, hashOf) & round) === 0 ? split : buckets)
      slot = next
    }
    const isLast = split + 1 === round
    this.round = isLast ? round * 2 : round
    this.split = isLast ? 0 : split + 1
  }
}

const doubled = <A extends Int32Array | Float64Array>(from: A, to: A): A => {
  to.set(from)
  return to
}

/** Random multipliers, one for each position in a key, so that no outsider can craft colliding keys. */
let multipliers = new Int32Array(0)

/**
 * A 32-bit hash of a key: a sum of products of its characters and its length with random numbers (multilinear hashing:
 * Carter and Wegman 1979; Lemire and Kaser 2014). The upper half is rotated down, so that it is used first. Without the
 * numbers, an attacker can do no better than chance. The lower half is weaker; only tables of more than 65 536 keys use
 * a few bits of it.
 */
const fingerprint = (key: string): number => {
  const { length } = key
  if (length >= multipliers.length) extend(length + 1)
  const numbers = multipliers
  let sum = Math.imul(length, numbers[length]!)
  for (let at = 0; at < length; at++) sum = (sum + Math.imul(key.charCodeAt(at), numbers[at]!)) | 0
  return (sum >>> 16) | (sum << 16)
}

/** Existing multipliers stay as they are, because stored keys are found with them. */
const extend = (least: number): void => {
  // Loading this module takes as long as loading the whole guard, so it is loaded with the first key.
  const { randomFillSync } = process.getBuiltinModule("node:crypto")
  const longer = randomFillSync(new Int32Array(2 ** Math.ceil(Math.log2(Math.max(least, 64)))))
  longer.set(multipliers)
  multipliers = longer
}
