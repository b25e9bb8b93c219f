/** One example of every reason. The type closes the set, and a test compares it with the exports. */
import {
  BulkheadFull,
  CircuitOpen,
  Conflict,
  ConnectFailed,
  ConnectionLost,
  CredentialRevoked,
  CredentialUnavailable,
  DeadlineExceeded,
  InvalidRequest,
  InvalidResponse,
  RateLimited,
  RateLimitExceeded,
  type Reason,
  RequestRejected,
  ResponseTooLarge,
  Throttled,
  Timeout,
  Unauthorized,
  Unavailable
} from "@breakwater/core/Reason"

export const reasons: { readonly [Tag in Reason["_tag"]]: Extract<Reason, { readonly _tag: Tag }> } = {
  CircuitOpen: new CircuitOpen(5_000),
  RateLimitExceeded: new RateLimitExceeded(250),
  BulkheadFull: new BulkheadFull(),
  Throttled: new Throttled(),
  DeadlineExceeded: new DeadlineExceeded("Unknown", { wasFair: true }),
  Timeout: new Timeout("Headers", 3_000),
  ConnectFailed: new ConnectFailed("Refused"),
  ConnectionLost: new ConnectionLost("Body"),
  Unavailable: new Unavailable(503, { retryAfterMillis: 90_000 }),
  RateLimited: new RateLimited(429, { retryAfterMillis: 30_000 }),
  Conflict: new Conflict(409),
  Unauthorized: new Unauthorized(401),
  RequestRejected: new RequestRejected(422),
  InvalidRequest: new InvalidRequest("amount: expected a whole number"),
  InvalidResponse: new InvalidResponse(200, "id: missing", "{ object: string }"),
  ResponseTooLarge: new ResponseTooLarge(8_388_608),
  CredentialUnavailable: new CredentialUnavailable("acme/key"),
  CredentialRevoked: new CredentialRevoked("acme/key", "Unknown")
}
