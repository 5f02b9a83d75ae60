-- Ends jobs that no worker has and whose deadline is over, at most 100, and puts right those that share a computation
-- which is over. ARGV: retention seconds. Returns the ids of those whose deadline is over.
local ended = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('deadlines'), '-inf', stamp(now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', key('deadlines'), id)
  if fields(id, 'state') == 'queued' or redis.call('SISMEMBER', key('sharing'), id) == 1 then
    finish(id, 'failed', tonumber(ARGV[1]), 'error', LATE)
    table.insert(ended, id)
  end
end
for _, id in ipairs(redis.call('SRANDMEMBER', key('sharing'), 1000)) do
  local owner, priority = fields(id, 'result_of', 'priority')
  local state, artifact, report, step
  if owner then
    state, artifact, report, step = fields(owner, 'state', 'artifact', 'report', 'step')
  end
  if not priority then
    redis.call('SREM', key('sharing'), id)
  elseif state == 'completed' then -- by a worker of before
    finish(id, 'completed', tonumber(ARGV[1]), 'artifact', artifact, 'report', report, 'step', step)
  elseif state ~= 'queued' and state ~= 'running' then
    go_alone(id, priority)
  end
end
return ended
