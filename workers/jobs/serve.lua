-- Notes that models are served. KEYS: models. ARGV: their names.
redis.call('ZREM', KEYS[1], '') -- at maxmemory nothing is refused after a write that frees, as in common.lua
local now = redis.call('TIME')[1]
for _, name in ipairs(ARGV) do
  redis.call('ZADD', KEYS[1], now, name)
end
