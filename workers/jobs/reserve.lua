-- Ties an idempotency key to the first job id that came with it. KEYS: the key. ARGV: fingerprint, job id, seconds.
-- Returns { fingerprint, job id } of the first caller.
local held = redis.call('GET', KEYS[1])
if not held then
  held = cjson.encode({ ARGV[1], ARGV[2] })
  redis.call('SET', KEYS[1], held, 'EX', ARGV[3])
end
return cjson.decode(held)
