/** The request of one call, as it passes through the steps of a client. */
import type { Encoded, Input } from "../Contract.ts"

export class Request {
  /** Path and query, encoded, below the vendor's base URL. */
  readonly path: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: Encoded["body"]
  /** The partition of the call; it selects the secret. */
  readonly key: string
  /** The input as its caller gave it. */
  readonly input: Input
  /** The `ETag` of the cached answer; `undefined` if there is no such answer. */
  readonly validator: string | undefined

  constructor(
    path: string,
    headers: ReadonlyArray<string>,
    body: Encoded["body"],
    key: string,
    input: Input,
    validator: string | undefined
  ) {
    this.path = path
    this.headers = headers
    this.body = body
    this.key = key
    this.input = input
    this.validator = validator
  }

  /** The same request with one more header. */
  with(name: string, value: string): Request {
    return new Request(this.path, [...this.headers, name, value], this.body, this.key, this.input, this.validator)
  }
}
