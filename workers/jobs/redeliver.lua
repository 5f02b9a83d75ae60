-- Sends a message again, from the first attempt on. ARGV: message, tenant. Returns its record, empty where the tenant has
-- none. One that is being sent now stays as it is.
local message, tenant = ARGV[1], ARGV[2]
local record = key('delivery', message)
local owner, lane, token = unpack(redis.call('HMGET', record, 'tenant', 'lane', 'token'), 1, 3)
if owner ~= tenant or not lane then
  return {}
end
if not token then
  redis.call('PERSIST', record)
  redis.call('HSET', record, 'attempts', 0)
  redis.call('ZADD', key('undelivered'), stamp(now), message)
  schedule(message, lane, now)
end
return redis.call('HGETALL', record)
