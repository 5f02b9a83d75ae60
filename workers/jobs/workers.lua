-- The workers that live. KEYS: beats, infos. Returns { name, info, seconds left, ... }.
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. string.format('%.3f', now), '+inf', 'WITHSCORES')
local reply = {}
for i = 1, #alive, 2 do
  local info = redis.call('HGET', KEYS[2], alive[i])
  if info then
    table.insert(reply, alive[i])
    table.insert(reply, info)
    table.insert(reply, string.format('%.3f', alive[i + 1] - now))
  end
end
return reply
