-- Ends an attempt at a delivery. ARGV: message, token, the state that it is in now, seconds until the next attempt, then
-- fields of the record and their values. Returns 1, or 0 where the message is another sender's by now, or gone.
local message, token, state, delay = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local record = key('delivery', message)
local owner, lane = unpack(redis.call('HMGET', record, 'token', 'lane'), 1, 2)
if owner ~= token then
  return 0
end
redis.call('ZREM', key('outbox', lane), message) -- first a write that frees, see `common.lua` on maxmemory
redis.call('HDEL', record, 'token')
redis.call('HSET', record, 'attempted_at', stamp(now), unpack(ARGV, 5))
if state == 'pending' then
  schedule(message, lane, now + delay)
elseif state == 'released' then -- not tried at all
  redis.call('HINCRBY', record, 'attempts', -1)
  redis.call('HDEL', record, 'attempted_at')
  schedule(message, lane, now)
else
  redis.call('HSET', record, 'state', state)
  redis.call('HDEL', record, 'due_at')
  redis.call('EXPIRE', record, DELIVERY_SECONDS)
  unschedule(message, lane)
end
return 1
