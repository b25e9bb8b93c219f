/** The reasons that a transport gives. Gates, credentials, or the meaning of a response give the others. */
import type {
  ConnectFailed,
  ConnectionLost,
  InvalidRequest,
  InvalidResponse,
  Reason,
  ResponseTooLarge,
  Timeout
} from "../Reason.ts"

export type TransportReason =
  | Timeout
  | ConnectFailed
  | ConnectionLost
  | InvalidRequest
  | InvalidResponse
  | ResponseTooLarge

/** Whether a transport gives a reason of this kind. A transport of a user's own may give another. */
export const isTransportReason = (reason: Reason): reason is TransportReason => {
  switch (reason._tag) {
    case "Timeout":
    case "ConnectFailed":
    case "ConnectionLost":
    case "InvalidRequest":
    case "InvalidResponse":
    case "ResponseTooLarge":
      return true
    case "CircuitOpen":
    case "RateLimitExceeded":
    case "BulkheadFull":
    case "Throttled":
    case "DeadlineExceeded":
    case "Unavailable":
    case "RateLimited":
    case "Conflict":
    case "Unauthorized":
    case "RequestRejected":
    case "CredentialUnavailable":
    case "CredentialRevoked":
      return false
  }
}
