declare module "opossum" {
  /** The part of opossum that the bench uses. */
  export default class CircuitBreaker<Arguments extends ReadonlyArray<unknown>, Answer> {
    constructor(call: (...given: Arguments) => Promise<Answer>, options: {
      readonly timeout: number
      readonly errorThresholdPercentage: number
      readonly volumeThreshold: number
      readonly resetTimeout: number
      readonly capacity: number
    })
    fire(...given: Arguments): Promise<Answer>
    open(): void
  }
}
