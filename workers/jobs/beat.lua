-- Renews a lease and notes progress. ARGV: id, token, lease seconds, stage ('' = unchanged), steps done.
-- Returns 'ok', 'stop' (a client cancelled), 'late' (its deadline is over) or 'lost' (the job is another attempt's, or gone).
local id, token, lease, stage, step = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local state, owner, cancelled, old_stage, old_step = fields(id, 'state', 'token', 'cancel_requested', 'stage', 'step')
if state ~= 'running' or owner ~= token then
  return 'lost'
end
redis.call('ZREM', key('leases'), id)
redis.call('ZADD', key('leases'), stamp(now + lease), id)
if stage ~= '' and stage ~= old_stage then
  redis.call('HSET', key('job', id), 'stage', stage)
  publish(id, EVENTS_SECONDS, 'type', 'stage', 'stage', stage)
end
if step > (tonumber(old_step) or 0) then
  redis.call('HSET', key('job', id), 'step', step)
  publish(id, EVENTS_SECONDS, 'type', 'step', 'step', step)
end
return cancelled and 'stop' or is_late(id) and 'late' or 'ok'
