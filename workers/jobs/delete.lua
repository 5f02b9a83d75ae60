-- ARGV: id, tenant. Returns 0 when the tenant has no such job, 2 where its file is the result of others too, else 1.
local id, tenant = ARGV[1], ARGV[2]
local owner, deleted, state, shares = fields(id, 'tenant', 'deleted', 'state', 'result_of')
if owner ~= tenant or deleted then
  return 0
end
tell(id, this_moment(), 'type', 'deleted')
if state == 'running' and not shares then -- hidden now; purged when the attempt ends, which the cancel brings about
  hand_over(id)
  disown(id)
  redis.call('HDEL', key('job', id), 'request', 'metadata', 'webhook_id', 'webhook_url')
  redis.call('HSET', key('job', id), 'deleted', 1, 'cancel_requested', 1)
  redis.call('DEL', key('events', id), key('preview', id))
  unlist(id, tenant)
else
  purge(id)
end
return redis.call('EXISTS', key('sharers', id)) == 1 and 2 or 1
