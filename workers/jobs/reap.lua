-- Takes running jobs whose lease has ended away from their workers. ARGV: retention seconds, error, attempts allowed.
-- Returns { id, new state, id, new state, ... } of at most 100 jobs. The token goes, so that nothing late is accepted.
local retention, failure, max_attempts = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local reaped = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('leases'), '-inf', stamp(now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', key('leases'), id)
  if fields(id, 'state') == 'running' then
    redis.call('HDEL', key('job', id), 'token')
    table.insert(reaped, id)
    table.insert(reaped, give_up(id, retention, failure, max_attempts))
  end
end
return reaped
