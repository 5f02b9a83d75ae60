-- Adds an observation to a list unless it is full. KEYS: list. ARGV: most items, seconds to keep, text. Returns 1 or 0.
if redis.call('LLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('RPUSH', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
