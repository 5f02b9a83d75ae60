-- Accepts a job. A retry of a submission whose reply was lost finds the job and changes nothing.
-- ARGV: id, tenant, priority, request, metadata, the most jobs of the model that may wait, the most of the tenant's,
--   id and URL of the message that is sent when the job ends, id of the job whose settings it has ('' = none).
-- Returns { record, {} }, or where as many wait { {}, { 'model' or 'tenant', seconds until there is room } }.
local id, tenant, priority, request, metadata, most, most_of_tenant, webhook_id, webhook_url, remixed_from =
  unpack(ARGV)
if redis.call('EXISTS', key('job', id)) == 0 then
  local queued, waited = depth()
  local full = queued >= tonumber(most) and 'model'
    or redis.call('SCARD', key('waiting', tenant)) >= tonumber(most_of_tenant) and 'tenant'
  if full then -- by Little's law: the first has waited while as many left as wait now
    return { {}, { full, stamp(waited / math.max(1, queued)) } }
  end
  redis.call('HSET', key('job', id), 'id', id, 'tenant', tenant, 'priority', priority, 'request', request,
    'metadata', metadata, 'created_at', stamp(now), 'attempts', 0, 'step', 0)
  if webhook_id ~= '' then
    redis.call('HSET', key('job', id), 'webhook_id', webhook_id, 'webhook_url', webhook_url)
  end
  if remixed_from ~= '' then
    redis.call('HSET', key('job', id), 'remixed_from', remixed_from)
  end
  redis.call('ZADD', key('tenant', tenant), stamp(now), id)
  redis.call('ZREM', key('expiries'), id .. ':' .. tenant) -- of an earlier job with this id, deleted and not swept yet
  enter(id, priority)
end
return { redis.call('HGETALL', key('job', id)), {} }
