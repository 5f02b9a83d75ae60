-- Adds an observation to a list, but for a second one of the same request and where the list is full.
-- KEYS: list, requests. ARGV: most items, seconds to keep, request, seconds to know the request, text, how many items it
-- goes on from (-1: however many).
-- Returns 'kept', 'known', 'full', or 'behind' where other items have come meanwhile.
local most, kept, request, known, text = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local told = tonumber(ARGV[6])
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZSCORE', KEYS[2], request) then
  return 'known'
end
if redis.call('LLEN', KEYS[1]) >= most then
  return 'full'
end
if told >= 0 and redis.call('LLEN', KEYS[1]) ~= told then
  return 'behind'
end
redis.call('RPUSH', KEYS[1], text)
redis.call('EXPIRE', KEYS[1], kept)
redis.call('ZADD', KEYS[2], now + known, request)
redis.call('EXPIRE', KEYS[2], math.ceil(known))
return 'kept'
