-- ARGV: id, tenant, retention seconds. Returns the record, empty when the tenant has no such job.
local id, tenant, retention = ARGV[1], ARGV[2], tonumber(ARGV[3])
local owner, deleted, state, asked, shares = fields(id, 'tenant', 'deleted', 'state', 'cancel_requested', 'result_of')
if owner ~= tenant or deleted then
  return {}
end
if state == 'queued' or (state == 'running' and shares) then
  finish(id, 'cancelled', retention, 'cancel_requested', 1, 'error', CANCELLED)
elseif state == 'running' and not asked then
  redis.call('ZREM', key('queued', 'normal'), id) -- not in there; see `common.lua` on maxmemory
  hand_over(id)
  disown(id)
  redis.call('HSET', key('job', id), 'cancel_requested', 1)
  publish(id, EVENTS_SECONDS, 'type', 'cancel_requested', 'state', state)
end
return redis.call('HGETALL', key('job', id))
