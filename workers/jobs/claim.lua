-- Gives the next job to a worker. ARGV: token, worker, lease seconds, most running jobs of a tenant (0 = any number),
--   devices that compute it together, retention seconds, whether the worker can say how long a job takes ('' = no), a job
--   of which it says so, how many seconds that takes at least ('' = not known), and by how much it is tried with less.
-- Returns { record, {}, {} }, or { {}, last id of each lane's stream, {} }: whoever waits for an entry after those misses
-- none; or { {}, {}, { id, request } }: how long does it take? or { {}, {}, { id } }: it was next, and failed, as it
-- could not end before its deadline.
local token, worker, lease, most_running, retention, can_say, said_of, said, fastest =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6]), ARGV[7], ARGV[8], tonumber(ARGV[9]),
  tonumber(ARGV[10])
local AGE_SECONDS = 600

redis.call('LLEN', key('claim')) -- a command that only workers may use: for anybody else nothing is written

-- What has waited for long in its lane goes on in the one above it, so that nothing waits for ever.
local function age(lane, above)
  local long = redis.call('ZRANGEBYSCORE', key('since', lane), '-inf', stamp(now - AGE_SECONDS), 'LIMIT', 0, 100)
  for _, id in ipairs(long) do
    redis.call('ZREM', key('since', lane), id)
    if fields(id, 'state') == 'queued' and fields(id, 'tenant') then -- an older version has not taken it out of here
      leave(id)
      enter(id, above)
    end
  end
end

-- Whether the tenant has as many running as it may. What an older version has taken from a silent worker is still there.
local function has_enough(tenant)
  local running = key('running', tenant)
  if most_running == 0 or redis.call('SCARD', running) < most_running then
    return false
  end
  for _, id in ipairs(redis.call('SMEMBERS', running)) do
    if fields(id, 'state') ~= 'running' then
      redis.call('SREM', running, id)
    end
  end
  return redis.call('SCARD', running) >= most_running
end

-- Entries of the stream that no job points back to are nobody's: whoever scales by its length would count them.
local function tidy(lane)
  for _, entry in ipairs(redis.call('XRANGE', key('stream', lane), '-', '+', 'COUNT', 100)) do
    if fields(entry[2][2] or '', 'entry') ~= entry[1] then
      redis.call('XDEL', key('stream', lane), entry[1])
    end
  end
end

-- Jobs of tenants that have as many running as they may: a flood of them is passed over without a look at each.
local held, full = {}, {}

-- Whether a job may start: its tenant has not as many running as it may, and it is not late.
local function may_start(id, tenant)
  if full[tenant] == nil then
    full[tenant] = has_enough(tenant)
    for _, other in ipairs(full[tenant] and redis.call('SMEMBERS', key('waiting', tenant)) or {}) do
      held[other] = true
    end
  end
  return not full[tenant] and not is_late(id)
end

-- The next job of a lane that may start.
local function next_queued(lane)
  local first = 0
  while true do
    local ids = redis.call('ZRANGE', key('queued', lane), first, first + 99)
    if #ids == 0 then
      if first == 0 then
        tidy(lane)
      end
      return nil
    end
    for _, id in ipairs(ids) do
      if not held[id] then
        local state, own, tenant = fields(id, 'state', 'id', 'tenant')
        if state ~= 'queued' or own ~= id or not tenant then -- a record that lost fields that no job is without
          leave(id)
          stop_waiting(id, lane)
          set_aside('queued:' .. lane, id)
          tidy(lane)
          return next_queued(lane)
        end
        if may_start(id, tenant) then
          return id
        end
      end
    end
    first = first + #ids
  end
end

-- Whether the next job is computed in vain: { id, request } where that is still to be asked, { id } where it is, and so
-- has failed. Nothing says so before something was measured.
local function in_vain(id)
  local deadline, request = fields(id, 'deadline_at', 'request')
  if not deadline or can_say == '' then
    return nil
  elseif said_of ~= id then
    return { id, request or '' }
  end
  local left = (tonumber(deadline) or now) - now
  if not said or said * fastest <= left then
    return nil
  end
  local message = string.format('such a run takes at least %.1f s, and %.1f s were left until its deadline', said, left)
  finish(id, 'failed', retention, 'error', cjson.encode({ code = 'deadline_exceeded', message = message }))
  return { id }
end

local function last_id(lane)
  local stream = key('stream', lane)
  local info = redis.call('EXISTS', stream) == 1 and redis.call('XINFO', 'STREAM', stream) or {}
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return info[i + 1]
    end
  end
  return '0-0'
end

-- The reply to this very claim may have been lost: give the same job again, not a second one.
local got = redis.call('GET', key('claim', token))
if got then
  local state, owner, deleted = fields(got, 'state', 'token', 'deleted')
  if state == 'running' and owner == token and not deleted then
    return { redis.call('HGETALL', key('job', got)), {}, {} }
  end
end

age('normal', 'high')
age('low', 'normal')
for _, lane in ipairs(LANES) do
  local id = next_queued(lane)
  local vain = id and in_vain(id)
  if vain then
    return { {}, {}, vain }
  elseif id then
    local turn = redis.call('ZSCORE', key('queued', lane), id)
    stop_waiting(id, lane)
    local served = redis.call('HGET', key('turns', lane), '')
    if served and tonumber(turn) > tonumber(served) then
      redis.call('HSET', key('turns', lane), '', turn)
    end
    redis.call('SADD', key('running', fields(id, 'tenant')), id)
    redis.call('ZADD', key('leases'), stamp(now + lease), id)
    redis.call('HSET', key('job', id), 'token', token)
    redis.call('HSET', key('devices'), id, ARGV[5] .. ' ' .. worker)
    for _, other in ipairs(sharers(id)) do
      follow(other)
    end
    write_all(id, 'state', 'running', 'worker', worker, 'started_at', stamp(now),
      'attempts', (tonumber(fields(id, 'attempts')) or 0) + 1)
    redis.call('SETEX', key('claim', token), math.ceil(lease), id)
    publish_all(id, 'type', 'state', 'state', 'running')
    return { redis.call('HGETALL', key('job', id)), {}, {} }
  end
end

local ids = {}
for i, lane in ipairs(LANES) do
  ids[i] = last_id(lane)
end
return { {}, ids, {} }
