-- Says that a worker lives. KEYS: beats, infos. ARGV: name, info, seconds until it counts as gone (0 = it leaves now).
redis.call('ZREM', KEYS[1], ARGV[1]) -- at maxmemory nothing is refused after a write that frees, as in common.lua
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.3f', now))) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
if tonumber(ARGV[3]) > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.3f', now + ARGV[3]), ARGV[1])
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
else
  redis.call('HDEL', KEYS[2], ARGV[1])
end
