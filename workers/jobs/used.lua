-- Notes that an API key was used, unless it is gone. KEYS: its record. ARGV: seconds within which it is noted once.
local now = tonumber(redis.call('TIME')[1])
local last = tonumber(redis.call('HGET', KEYS[1], 'last_used_at') or 0)
if redis.call('EXISTS', KEYS[1]) == 1 and now - last >= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'last_used_at', now)
end
