-- Put before every script on a model's keys, after `outbox.lua`: identical jobs of a tenant that are computed once.
--
-- One of them is in a lane and is run. The others have its id in `result_of`; what happens to it is written to all. A
-- file lies with the job that was run, and stays for as long as any of them is kept; so a job that comes later can have
-- it too.

local SHARERS = 100 -- of one computation: each step of it writes to all

local function likeness(tenant, request)
  return tenant .. ':' .. redis.sha1hex(request)
end

-- The job of a tenant that computes the same, if it may be shared.
local function alike(tenant, request)
  local id = redis.call('HGET', key('alike'), likeness(tenant, request))
  if not id then
    return nil
  end
  local state, same, cancelled, deleted = fields(id, 'state', 'request', 'cancel_requested', 'deleted')
  local goes_on = (state == 'queued' or state == 'running') and not cancelled and not deleted
  return goes_on and same == request and redis.call('ZCARD', key('sharers', id)) < SHARERS and id or nil
end

-- Whether a job is kept whose result is that of the request.
local function has_result(id, tenant, request)
  local owner, same, state, deleted, ends = fields(id, 'tenant', 'request', 'state', 'deleted', 'expires_at')
  return owner == tenant and same == request and state == 'completed' and not deleted and (tonumber(ends) or 0) > now
end

-- The job is one that others may share.
local function own(id)
  local tenant, request = fields(id, 'tenant', 'request')
  redis.call('HSET', key('alike'), likeness(tenant, request), id)
end

local function disown(id)
  local tenant, request = fields(id, 'tenant', 'request')
  if tenant and request and redis.call('HGET', key('alike'), likeness(tenant, request)) == id then
    redis.call('HDEL', key('alike'), likeness(tenant, request))
  end
end

-- The job shares the computation of another, which then is not less urgent than it.
local function share(id, owner, priority)
  local state, lane, started, worker, stage, step, attempts =
    fields(owner, 'state', 'lane', 'started_at', 'worker', 'stage', 'step', 'attempts')
  local tenant, deadline = fields(id, 'tenant', 'deadline_at')
  redis.call('HSET', key('job', id), 'result_of', owner, 'state', state)
  if state == 'running' then
    redis.call('HSET', key('job', id), 'started_at', started, 'worker', worker, 'step', step, 'attempts', attempts)
    if stage then
      redis.call('HSET', key('job', id), 'stage', stage)
    end
    local steps = redis.call('HGETALL', key('steps', owner))
    if steps[1] then
      redis.call('HSET', key('steps', id), unpack(steps))
      redis.call('EXPIRE', key('steps', id), EVENTS_SECONDS)
    end
  end
  redis.call('ZADD', key('sharers', owner), stamp(now), id)
  redis.call('SADD', key('sharing'), id)
  redis.call('SADD', key(state == 'running' and 'following' or 'waiting', tenant), id)
  if deadline then
    redis.call('ZADD', key('deadlines'), deadline, id)
  end
  local place = {}
  for i, name in ipairs(LANES) do
    place[name] = i
  end
  if state == 'queued' and place[priority] < place[lane] then
    leave(owner)
    enter(owner, priority)
  end
end

-- The job has no share in another's file any more. The last one has that deleted, where the other's record is gone.
local function unshare(id)
  local owner, tenant = fields(id, 'result_of', 'tenant')
  if owner and redis.call('ZREM', key('sharers', owner), id) == 1 and redis.call('EXISTS', key('sharers', owner)) == 0
    and redis.call('EXISTS', key('job', owner)) == 0 then
    redis.call('ZADD', key('expiries'), stamp(now), owner .. ':' .. tenant)
  end
end

-- The computation that the job shares has begun.
local function follow(id)
  local tenant = fields(id, 'tenant') or ''
  stop_counting(id, 0)
  redis.call('SADD', key('following', tenant), id)
end

-- As before it was started.
local function wait_again(id)
  local tenant = fields(id, 'tenant') or ''
  if redis.call('SREM', key('following', tenant), id) == 1 then
    redis.call('SADD', key('waiting', tenant), id)
  end
  redis.call('HDEL', key('job', id), 'worker', 'started_at', 'stage')
  redis.call('HSET', key('job', id), 'state', 'queued', 'step', 0)
  redis.call('DEL', key('steps', id), key('preview', id))
end

-- The job waits for a computation of its own.
local function go_alone(id, lane, turn, since)
  redis.call('SREM', key('sharing'), id)
  redis.call('ZREM', key('sharers', fields(id, 'result_of') or ''), id)
  wait_again(id)
  redis.call('HDEL', key('job', id), 'result_of')
  redis.call('HSET', key('job', id), 'attempts', 0)
  enter(id, lane, turn, since)
end

-- The job ends and the others that share its computation do not: the oldest of them takes its place in the lane, or is
-- next where it runs. Comes before whatever ends the job.
local function hand_over(id)
  local heirs = sharers(id)
  local state, lane = fields(id, 'state', 'lane')
  if not heirs[1] or (state ~= 'queued' and state ~= 'running') then
    return
  end
  local turn = state == 'queued' and redis.call('ZSCORE', key('queued', lane), id)
  local since = state == 'queued' and redis.call('ZSCORE', key('since', lane), id)
  go_alone(heirs[1], turn and lane or 'retry', turn or nil, since or nil)
  for i = 2, #heirs do
    wait_again(heirs[i])
    redis.call('HSET', key('job', heirs[i]), 'result_of', heirs[1])
    redis.call('ZADD', key('sharers', heirs[1]), redis.call('ZSCORE', key('sharers', id), heirs[i]), heirs[i])
  end
  redis.call('DEL', key('sharers', id))
  own(heirs[1])
  publish_all(heirs[1], 'type', 'state', 'state', 'queued')
end
