-- ARGV: id, tenant. Returns 1, or 0 when the tenant has no such job.
local id, tenant = ARGV[1], ARGV[2]
local owner, deleted, state = fields(id, 'tenant', 'deleted', 'state')
if owner ~= tenant or deleted then
  return 0
end
tell(id, this_moment(), 'type', 'deleted')
if state == 'running' then -- hidden now; purged when the attempt ends, which the cancel brings about
  redis.call('HDEL', key('job', id), 'request', 'metadata', 'webhook_id', 'webhook_url')
  redis.call('HSET', key('job', id), 'deleted', 1, 'cancel_requested', 1)
  redis.call('DEL', key('events', id))
  unlist(id, tenant)
else
  purge(id)
end
return 1
