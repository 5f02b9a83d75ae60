-- Gives the next job to a worker. ARGV: token, worker, lease seconds.
-- Returns { record, {} }, or { {}, last id of each lane's stream }: whoever waits for an entry after those misses none.
local token, worker, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])

local function next_queued(lane)
  local stream = key('stream', lane)
  while true do
    local got = redis.pcall('XREADGROUP', 'GROUP', GROUP, CONSUMER, 'COUNT', 1, 'STREAMS', stream, '>')
    if not got then
      return nil
    elseif got.err then
      if not string.find(got.err, 'NOGROUP', 1, true) then
        error(got.err)
      end
      redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM') -- the first claim ever, or Redis came back empty
    else
      local entry, id = got[1][2][1][1], got[1][2][1][2][2] or ''
      local state, current, own, tenant = fields(id, 'state', 'entry', 'id', 'tenant')
      local queued = state == 'queued' and current == entry
      if queued and own == id and tenant then
        return id
      end
      redis.call('XACK', stream, GROUP, entry)
      redis.call('XDEL', stream, entry)
      if queued then -- a record that lost fields that no job is without
        stop_waiting(id, lane)
        set_aside('stream:' .. lane, id)
      end
    end
  end
end

local function last_id(lane)
  local info = redis.call('XINFO', 'STREAM', key('stream', lane))
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return info[i + 1]
    end
  end
end

-- The reply to this very claim may have been lost: give the same job again, not a second one.
local got = redis.call('GET', key('claim', token))
if got then
  local state, owner, deleted = fields(got, 'state', 'token', 'deleted')
  if state == 'running' and owner == token and not deleted then
    return { redis.call('HGETALL', key('job', got)), {} }
  end
end

for _, lane in ipairs(LANES) do
  local id = next_queued(lane)
  if id then
    stop_waiting(id, lane)
    redis.call('ZADD', key('leases'), stamp(now + lease), id)
    redis.call('HSET', key('job', id), 'state', 'running', 'token', token, 'worker', worker, 'started_at', stamp(now),
      'attempts', (tonumber(fields(id, 'attempts')) or 0) + 1)
    redis.call('SET', key('claim', token), id, 'EX', math.ceil(lease))
    publish(id, EVENTS_SECONDS, 'type', 'state', 'state', 'running')
    return { redis.call('HGETALL', key('job', id)), {} }
  end
end

local ids = {}
for i, lane in ipairs(LANES) do
  ids[i] = last_id(lane)
end
return { {}, ids }
