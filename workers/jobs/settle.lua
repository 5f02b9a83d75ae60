-- Ends an attempt. ARGV: id, token, retention seconds, wanted end, then
--   completed: artifact, report, steps, full steps, cached steps, kind of the run ('' = not to be measured), what it was
--   like, what it was computed with ('' = unknown) · failed: error, attempts allowed in all · cancelled ·
--   released.
-- Returns { the job's state afterwards, seconds since it was created }; state 'lost' when the job is not this attempt's.
local id, token, retention, wanted = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local PACE_KEPT, KINDS_KEPT = 20, 100
local state, owner, created, completed = fields(id, 'state', 'token', 'created_at', 'completed_at')

-- Remembers how long the run took. Of each kind the last ones, so that many of one leave something of the others.
local function measure(kind, what)
  local started = tonumber(fields(id, 'started_at'))
  if not kind or kind == '' or not started then
    return
  end
  local runs, run = key('pace', kind), stamp(now - started) .. ' ' .. what
  while redis.call('ZSCORE', runs, run) do
    run = '0' .. run -- a run that was alike to the microsecond is another member, of the same number
  end
  redis.call('ZADD', runs, stamp(now), run)
  redis.call('ZREMRANGEBYRANK', runs, 0, -PACE_KEPT - 1)
  redis.call('EXPIRE', runs, USED_SECONDS)
  redis.call('ZADD', key('pace'), stamp(now), kind)
  for _, oldest in ipairs(redis.call('ZRANGE', key('pace'), 0, -KINDS_KEPT - 1)) do
    redis.call('DEL', key('pace', oldest))
    redis.call('ZREM', key('pace'), oldest)
  end
end

if owner ~= token then
  return { 'lost', '0' }
end
if state == 'running' then
  if wanted == 'failed' then
    state = give_up(id, retention, ARGV[5], tonumber(ARGV[6]))
  elseif obey_client(id, retention) then
    state = 'cancelled'
  elseif is_late(id) then
    finish(id, 'failed', retention, 'error', LATE)
    state = 'failed'
  elseif wanted == 'cancelled' then
    finish(id, 'cancelled', retention, 'error', CANCELLED)
    state = 'cancelled'
  elseif wanted == 'completed' then
    finish(id, 'completed', retention, 'artifact', ARGV[5], 'report', ARGV[6], 'step', ARGV[7])
    state = 'completed'
    use(fields(id, 'tenant'), 'full_steps', ARGV[8])
    use(fields(id, 'tenant'), 'cached_steps', ARGV[9])
    measure(ARGV[10], ARGV[11])
    if ARGV[12] ~= '' then
      keep_result(id, ARGV[12])
    end
  else
    redis.call('ZREM', key('leases'), id)
    redis.call('HINCRBY', key('job', id), 'attempts', -1)
    requeue(id)
    state = 'queued'
  end
end -- else: this attempt has ended the job already and the reply was lost
return { state, stamp((tonumber(completed) or now) - (tonumber(created) or now)) }
