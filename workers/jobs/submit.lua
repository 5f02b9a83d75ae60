-- Accepts a job. A retry of a submission whose reply was lost finds the job and changes nothing.
-- ARGV: id, tenant, priority, request, metadata. Returns the record.
local id, tenant, priority, request, metadata = unpack(ARGV)
if redis.call('EXISTS', key('job', id)) == 0 then
  redis.call('HSET', key('job', id), 'id', id, 'tenant', tenant, 'priority', priority, 'request', request,
    'metadata', metadata, 'created_at', stamp(now), 'attempts', 0, 'step', 0)
  redis.call('ZADD', key('tenant', tenant), stamp(now), id)
  redis.call('ZREM', key('expiries'), id .. ':' .. tenant) -- of an earlier job with this id, deleted and not swept yet
  enter(id, priority)
end
return redis.call('HGETALL', key('job', id))
