-- Returns { queued, running, seconds that the longest-waiting job has been in the queue }.
local queued, oldest = 0, now
for _, lane in ipairs(LANES) do
  queued = queued + redis.call('ZCARD', key('queued', lane))
  local first = redis.call('ZRANGE', key('queued', lane), 0, 0, 'WITHSCORES')
  oldest = math.min(oldest, tonumber(first[2] or now))
end
return { queued, redis.call('ZCARD', key('leases')), stamp(now - oldest) }
