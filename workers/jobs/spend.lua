-- Takes tokens from a bucket that fills by itself. KEYS: the bucket. ARGV: tokens a second, most that it holds, how many.
-- Returns { 1 if they were there, else 0; whole tokens left; seconds until they are there, or else until it is full }.
local rate, most, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local held, at = unpack(redis.call('HMGET', KEYS[1], 'tokens', 'at'))
held = math.min(most, (tonumber(held) or most) + math.max(0, now - (tonumber(at) or now)) * rate)
local taken = held >= wanted
if taken then
  held = held - wanted
end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.6f', held), 'at', string.format('%.6f', now))
redis.call('EXPIRE', KEYS[1], math.ceil(most / rate) + 1)
local seconds = ((taken and most or wanted) - held) / rate
return { taken and 1 or 0, math.floor(held), string.format('%.3f', math.max(0, seconds)) }
