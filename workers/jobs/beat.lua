-- Renews a lease and notes progress. ARGV: id, token, lease seconds, stage ('' = unchanged), steps done, a letter for each
--   of them ('' = unknown), JSON of what full steps have shown since the last beat, mean seconds of a full step ('' = none).
-- Returns 'ok', 'stop' (a client cancelled), 'late' (its deadline is over) or 'lost' (the job is another attempt's, or gone).
local id, token, lease, stage, step, decisions, shown, seconds =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
local state, owner, cancelled, old_stage, old_step = fields(id, 'state', 'token', 'cancel_requested', 'stage', 'step')
if state ~= 'running' or owner ~= token then
  return 'lost'
end

local function note_stage()
  if stage ~= '' and stage ~= old_stage then
    write_all(id, 'stage', stage)
    publish_all(id, 'type', 'stage', 'stage', stage)
  end
end

local function note_steps()
  local done = tonumber(old_step) or 0
  if step <= done then
    return
  end
  write_all(id, 'step', step)
  local event = { 'type', 'step', 'step', step }
  if decisions ~= '' then
    for _, each in ipairs({ id, unpack(sharers(id)) }) do
      redis.call('HSET', key('steps', each), 'decisions', decisions, 'full_step_seconds', seconds)
      redis.call('EXPIRE', key('steps', each), EVENTS_SECONDS)
    end
    local _, full = string.gsub(decisions, 'F', '')
    for _, value in ipairs({ 'decisions', string.sub(decisions, done + 1), 'full_steps', full, 'full_step_seconds',
      seconds, 'mispredictions', shown }) do
      table.insert(event, value)
    end
  end
  publish_all(id, unpack(event))
end

redis.call('ZREM', key('leases'), id)
redis.call('ZADD', key('leases'), stamp(now + lease), id)
if stage == 'denoise' then
  note_stage()
  note_steps()
else -- the steps were done before the stage that follows them
  note_steps()
  note_stage()
end
return cancelled and 'stop' or is_late(id) and 'late' or 'ok'
