/** The calls in flight of a cache, by key: mostly one for a key, and none whose answer is outdated. */
import type { Flight, Terms } from "./Flight.ts"

export class Flights<A, E> {
  private readonly byKey = new Map<string, Array<Flight<A, E>>>()

  has(key: string): boolean {
    return this.byKey.has(key)
  }
  /** The flight that a caller may join; `undefined` if none suits it. `now` is a time of the timeline. */
  suiting(key: string, terms: Terms, now: number): Flight<A, E> | undefined {
    return this.byKey.get(key)?.find((flight) => flight.suits(terms, now))
  }
  add(flight: Flight<A, E>): void {
    const others = this.byKey.get(flight.key)
    if (others === undefined) this.byKey.set(flight.key, [flight])
    else others.push(flight)
  }
  /** Removes a flight that has ended. Returns whether it was still here. */
  remove(flight: Flight<A, E>): boolean {
    const flights = this.byKey.get(flight.key)
    const index = flights?.indexOf(flight) ?? -1
    if (flights === undefined || index === -1) return false
    flights.splice(index, 1)
    if (flights.length === 0) this.byKey.delete(flight.key)
    return true
  }

  /** Outdates the flights of a key: nobody else joins them, and their answers are not kept. Returns them. */
  outdate(key: string): ReadonlyArray<Flight<A, E>> {
    const outdated = this.byKey.get(key) ?? []
    this.byKey.delete(key)
    for (const flight of outdated) flight.isOutdated = true
    return outdated
  }
  /** Outdates the answers with a tag, which no flight knows before it has ended. */
  outdateTag(tag: string): void {
    for (const flights of this.byKey.values()) {
      for (const flight of flights) flight.outdate(tag)
    }
  }
  outdateAll(): void {
    for (const key of this.byKey.keys()) this.outdate(key)
  }
}
