-- ARGV: id, tenant, retention seconds. Returns the record, empty when the tenant has no such job.
local id, tenant, retention = ARGV[1], ARGV[2], tonumber(ARGV[3])
local owner, deleted, state, asked = fields(id, 'tenant', 'deleted', 'state', 'cancel_requested')
if owner ~= tenant or deleted then
  return {}
end
if state == 'queued' then
  finish(id, 'cancelled', retention, 'cancel_requested', 1, 'error', CANCELLED)
elseif state == 'running' and not asked then
  redis.call('ZREM', key('queued', 'normal'), id) -- not in there; see `common.lua` on maxmemory
  redis.call('HSET', key('job', id), 'cancel_requested', 1)
  publish(id, EVENTS_SECONDS, 'type', 'cancel_requested', 'state', state)
end
return redis.call('HGETALL', key('job', id))
