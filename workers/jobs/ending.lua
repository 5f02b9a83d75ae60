-- Put before every script on a model's keys, after `sharing.lua`: how attempts and jobs end.

-- Back to the queue, served before any job that never ran.
local function requeue(id)
  leave(id)
  wait_again(id)
  for _, other in ipairs(sharers(id)) do
    wait_again(other)
  end
  enter(id, 'retry')
  publish_all(id, 'type', 'state', 'state', 'queued')
end

-- The job leaves its tenant's list. Its place there is remembered for those who page through it and go on from there.
local function unlist(id, tenant)
  redis.call('ZREM', key('completed', tenant), id)
  redis.call('ZREM', key('fruitless', tenant), id)
  local created = redis.call('ZSCORE', key('tenant', tenant), id)
  if created then
    redis.call('ZREM', key('tenant', tenant), id)
    redis.call('ZADD', key('places', tenant), created, id)
    redis.call('ZREMRANGEBYRANK', key('places', tenant), 0, -PLACES_KEPT - 1)
    redis.call('EXPIRE', key('places', tenant), PLACE_SECONDS)
  end
end

-- The record goes now, its files at the next sweep. owner: the tenant, where the record may have expired already.
local function purge(id, owner)
  hand_over(id)
  leave(id)
  disown(id)
  unshare(id)
  local tenant = fields(id, 'tenant') or owner or ''
  redis.call('DEL', key('job', id), key('events', id), key('steps', id), key('preview', id))
  unlist(id, tenant)
  redis.call('ZADD', key('expiries'), stamp(now), id .. ':' .. tenant)
end

-- The record goes, as its time is over.
local function forget(id, tenant)
  redis.call('ZREM', key('expiries'), id .. ':' .. tenant)
  local state = fields(id, 'state')
  if state ~= 'queued' and state ~= 'running' then -- a deleted id may have been submitted anew
    unshare(id)
    redis.call('DEL', key('job', id), key('events', id))
    redis.call('HDEL', key('devices'), id) -- an attempt that another version ended has left it
    unlist(id, tenant)
  end
end

-- Notes that the job was the last of all tenants to end so.
local function note_last(kind, id)
  redis.call('ZADD', key('last', kind), stamp(now), id)
  redis.call('ZREMRANGEBYRANK', key('last', kind), 0, -LAST_KEPT - 1)
end

-- Those that share its computation end as it does, unless that is about this job alone: then one of them takes it over.
local function finish(id, state, retention, ...)
  redis.call('ZREM', key('leases'), id) -- see `common.lua` on maxmemory
  local late = state == 'failed' and string.find(select(2, ...), '"deadline_exceeded"', 1, true)
  if state == 'cancelled' or late then
    hand_over(id)
  end
  local others = sharers(id)
  leave(id)
  disown(id)
  if state ~= 'completed' then
    unshare(id)
  end
  local tenant, own_retention = fields(id, 'tenant', 'retention')
  tenant, retention = tenant or '', tonumber(own_retention) or retention
  if state == 'cancelled' then
    retention = math.min(retention, CANCELLED_SECONDS)
  end
  local ended = key(state == 'completed' and 'completed' or 'fruitless', tenant)
  redis.call('ZADD', ended, stamp(now), id)
  local kept = state == 'completed' and COMPLETED_KEPT or FRUITLESS_KEPT
  for _, oldest in ipairs(redis.call('ZRANGE', ended, 0, -kept - 1)) do
    purge(oldest, tenant)
  end
  local ends = now + retention
  redis.call('HSET', key('job', id), 'state', state, 'completed_at', stamp(now), 'expires_at', stamp(ends), ...)
  redis.call('ZADD', key('expiries'), stamp(ends), id .. ':' .. tenant)
  redis.call('EXPIREAT', key('job', id), math.ceil(ends + RECORD_GRACE_SECONDS))
  redis.call('DEL', key('steps', id), key('preview', id))
  use(tenant, state == 'dead' and 'failed' or state, 1)
  publish(id, ENDED_EVENTS_SECONDS, 'type', 'state', 'state', state)
  notify(id, tenant, state)
  if state == 'completed' and fields(id, 'result_of') then
    use(tenant, 'shared', 1)
  elseif state == 'completed' then
    note_last('completed', id)
  elseif state ~= 'cancelled' then
    note_last('failed', id)
  end
  for _, other in ipairs(others) do
    finish(other, state, retention, ...)
  end
  if others[1] then
    redis.call('EXPIREAT', key('sharers', id), math.ceil(ends + RECORD_GRACE_SECONDS))
  end
end

-- The job has the result of another, which is kept for as long as it is.
local function take_over(id, owner, retention)
  local artifact, report, step = fields(owner, 'artifact', 'report', 'step')
  redis.call('HSET', key('job', id), 'result_of', owner)
  redis.call('ZADD', key('sharers', owner), stamp(now), id)
  finish(id, 'completed', retention, 'artifact', artifact, 'report', report, 'step', step)
  local ends = math.ceil(fields(id, 'expires_at') + RECORD_GRACE_SECONDS)
  local left = redis.call('TTL', key('sharers', owner))
  if left < 0 or now + left < ends then
    redis.call('EXPIREAT', key('sharers', owner), ends)
  end
end

-- Notes what the job was computed with, so that an equal request can have its result.
local function keep_result(id, version)
  local tenant, request, ends = fields(id, 'tenant', 'request', 'expires_at')
  local seconds = math.floor(ends - now)
  if seconds > 0 then
    redis.call('SET', key('finished', likeness(tenant, request)), id .. ' ' .. version, 'EX', seconds)
  end
end

-- A cancel or delete that a client was told about wins over whatever the attempt came to. Returns true if there was one.
local function obey_client(id, retention)
  local cancelled, deleted = fields(id, 'cancel_requested', 'deleted')
  if deleted then
    purge(id)
  elseif cancelled then
    finish(id, 'cancelled', retention, 'error', CANCELLED)
  end
  return deleted or cancelled
end

-- A running attempt ended without a result. Returns the job's new state.
local function give_up(id, retention, failure, max_attempts)
  if obey_client(id, retention) then
    return 'cancelled'
  elseif is_late(id) then
    finish(id, 'failed', retention, 'error', LATE)
    return 'failed'
  end
  if (tonumber(fields(id, 'attempts')) or max_attempts) < max_attempts then
    requeue(id)
    return 'queued'
  end
  local state = max_attempts > 1 and 'dead' or 'failed'
  finish(id, state, retention, 'error', failure)
  if state == 'dead' then
    redis.call('XADD', key('dead'), 'MAXLEN', '~', DEAD_KEPT, '*', 'job', id, 'error', failure)
  end
  return state
end
