/**
 * Counts of a fleet in Redis, by Redis's own clock: the token buckets of rate limits, and the number of processes. A
 * process whose clock is ahead would otherwise empty a bucket for the time that the others' clocks need to catch up.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Redis from "effect/persistence/Redis"

/** Effect's store of rate limits, with a token bucket that does not depend on the clock of the process that asks. */
export const layerRateLimits = (prefix: string): Layer.Layer<RateLimiter.RateLimiterStore, never, Redis.Redis> =>
  Layer.effect(
    RateLimiter.RateLimiterStore,
    Effect.gen(function*() {
      const redis = yield* Redis.Redis
      const store = yield* RateLimiter.makeStoreRedis({ prefix })
      const take = redis.eval(bucket)
      return {
        ...store,
        tokenBucket: ({ allowOverflow, key, limit, refillRate, tokens }) =>
          take(`${prefix}${key}`, tokens, Duration.toMillis(refillRate), limit, allowOverflow ? 1 : 0).pipe(
            Effect.map(([remaining, elapsed]) => [Number(remaining), Number(elapsed)] as const),
            Effect.mapError((cause) =>
              new RateLimiter.RateLimiterError({
                reason: new RateLimiter.RateLimitStoreError({ message: "a token bucket could not be read", cause })
              })
            )
          )
      }
    })
  )

/** Counts a process, and the others that were counted in the last `millis`. */
export const processes = (redis: Redis.Redis["Service"], key: string, id: string, millis: number) =>
  redis.eval(counted)(key, id, millis)

/** The contract is that of Effect's `RateLimiterStore`. Seventeen digits keep a fraction as it is. */
const bucket = Redis.script(
  (key: string, tokens: number, refillMillis: number, limit: number, overflow: 0 | 1) => [
    key,
    tokens,
    refillMillis,
    limit,
    overflow
  ],
  {
    numberOfKeys: 1,
    lua: `
local tokens, refill, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local state = redis.call("HMGET", KEYS[1], "tokens", "at")
local current = tonumber(state[1]) or limit
-- A replica that takes over may be behind.
local at = math.min(tonumber(state[2]) or now, now)
local refilled = math.floor((now - at) / refill)
if refilled > 0 then
  current = math.min(current + refilled, limit)
  at = at + refilled * refill
end
if current >= limit then at = now end
local left = current - tokens
if left >= 0 or ARGV[4] == "1" then current = left end
redis.call("HSET", KEYS[1], "tokens", string.format("%.17g", current), "at", string.format("%.17g", at))
redis.call("PEXPIRE", KEYS[1], math.max(1, math.ceil((limit - current) * refill - (now - at))))
return { string.format("%.17g", left), string.format("%.17g", now - at) }
`
  }
).withReturnType<readonly [remaining: string, elapsedMillis: string]>()

const counted = Redis.script(
  (key: string, id: string, millis: number) => [key, id, millis],
  {
    numberOfKeys: 1,
    lua: `
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - tonumber(ARGV[2]))
redis.call("ZADD", KEYS[1], now, ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return redis.call("ZCARD", KEYS[1])
`
  }
).withReturnType<number>()
