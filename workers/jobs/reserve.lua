-- Ties an idempotency key to the first job id that came with it. KEYS: the key. ARGV: fingerprint, job id, seconds, id
-- of a job that is deleted and gives the key up ('' = none). Returns { fingerprint, job id } of the first caller.
local held = redis.call('GET', KEYS[1])
local first = held and cjson.decode(held)
if not first or (first[1] == ARGV[1] and first[2] == ARGV[4]) then
  first = { ARGV[1], ARGV[2] }
  redis.call('SET', KEYS[1], cjson.encode(first), 'EX', ARGV[3])
end
return first
