-- Put before every script on a model's keys. KEYS[1] is the root `{q:<model>}`: every key starts with it and so lies in
-- its hash slot. A script runs alone, so what it has read stays true until it ends.
--
--   <root>:job:<id>         hash    the record, the truth; also token, lane, entry, deleted, which clients never see
--   <root>:stream:<lane>    stream  one entry for each queued or running job; only a pointer to the record
--   <root>:queued:<lane>    zset    queued jobs by their turn, which is the order in which they start
--   <root>:since:<lane>     zset    the same by the time they entered the lane
--   <root>:turns:<lane>     hash    by tenant the turn of its next job; '' the turn that was served last, '#' a counter
--   <root>:waiting:<tenant> set     a tenant's queued jobs
--   <root>:running:<tenant> set     and its running ones
--   <root>:following:<tenant> set   and those that share a computation which runs
--   <root>:used             hash    "<tenant>:<what>": jobs by how they ended, steps, seconds of devices, since when
--   <root>:used:<tenant>:<day> hash <what> of one day, in days since 1970 by UTC, for 400 days
--   <root>:alike            hash    "<tenant>:<SHA-1 of the request>": the job that computes it, which others may share
--   <root>:finished:<tenant>:<SHA-1 of the request> string "<job> <version>": the last job that was computed of it, and
--                                   with what; for as long as its result is kept
--   <root>:sharers:<id>     zset    jobs by creation that share the computation of this one, and then its file
--   <root>:sharing          set     those of them that have not ended; none of these is in a lane
--   <root>:costs            hash    what the queued jobs of each tenant cost together
--   <root>:deadlines        zset    queued jobs by their deadline, if they have one
--   <root>:leases           zset    running jobs by the time their lease ends
--   <root>:tenant:<tenant>  zset    a tenant's jobs by creation
--   <root>:places:<tenant>  zset    jobs that have left that list, by their creation too
--   <root>:expiries         zset    "<id>:<tenant>" by the time when artifact and record are to go
--   <root>:completed:<tenant> zset  a tenant's completed jobs by the time of that
--   <root>:fruitless:<tenant> zset  and its other jobs that have ended
--   <root>:last:completed   zset    of all tenants, those that were run and completed last, by the time of that
--   <root>:last:failed      zset    and those that failed last, also on every attempt
--   <root>:pace             zset    kinds of runs by the time when one was measured last
--   <root>:pace:<kind>      zset    "<seconds> <what>" of the last ones of a kind, by the time of their end; see `pace.py`
--   <root>:events:<id>      stream  what happened to a job since it was started, for live watchers
--   <root>:steps:<id>       hash    of a running job: a letter for each step, and how long a full one takes; no fields of
--                                   the record, where a service of another version would refuse what it does not know
--   <root>:devices          hash    "<number> <worker>" of running jobs that several devices compute; no field of the
--                                   record either, and an attempt of another version leaves it as it was
--   <root>:preview:<id>     string  of a job that is run: after how many steps, and a picture in base64, also for those
--                                   that share its computation
--   <root>:claim:<token>    string  the job that a claim got
--   <root>:reruns:<list>    zset    completed jobs that an idle worker may run again, by the time from which on
--   <root>:rerun:<list>     hash    of those that were begun: "<tries> <token>", the token empty once it is given back
--   <root>:dead             stream  the last jobs that failed on every attempt
--   <root>:aside            stream  the last entries of the others that no job of ours belongs to
--   <root>:delivery:<id>    hash    a message to a client's receiver that a job has ended, and what became of it
--   <root>:deliveries:<tenant> zset a tenant's messages by creation
--   <root>:undelivered      zset    those of all tenants that are still to be delivered, by creation
--   <root>:outbox           zset    lanes "<tenant> <receiver>" by the time when their first message is due
--   <root>:outbox:<lane>    zset    a lane's messages by the time when each is due, or the lease of its sender ends
--
-- At maxmemory Redis refuses a script's first growing write, but nothing after a shrinking one. Scripts that end or
-- renew an attempt therefore begin with ZREM: a running job can still finish.

local root = KEYS[1]
local LANES = { 'retry', 'high', 'normal', 'low' } -- in order of service
local LIVE = 'live' -- the channel of what happens to jobs, for those who watch
local EVENTS_KEPT, EVENTS_SECONDS = 200, 86400
local PREVIEW_SECONDS = 600 -- one for each running job, which the next one replaces
local ENDED_EVENTS_SECONDS = 10 -- longer than any reader waits; a stream takes 4 KB, also for one event
local DEAD_KEPT, ASIDE_KEPT = 1000, 1000
local CANCELLED_SECONDS = 600
local COMPLETED_KEPT, FRUITLESS_KEPT = 10000, 1000 -- of each tenant: nobody may fill Redis
local LAST_KEPT = 100
local PLACE_SECONDS, PLACES_KEPT = 3600, 10000 -- how long who pages through a list may take between two pages
local RECORD_GRACE_SECONDS = 86400 -- the sweep takes a record after its artifact; this is for when nobody sweeps
local DELIVERIES_KEPT = 10000 -- of each tenant, pending ones among them: nobody may fill Redis
local DELIVERY_SECONDS = 7 * 86400 -- how long one is shown once it has ended
local USED_SECONDS = 400 * 86400
local COST_OF_A_TURN = 1e6 -- so that turns are small numbers, which have more digits behind the point
local LATE = cjson.encode({ code = 'deadline_exceeded', message = 'the job could not end before its deadline' })
local CANCELLED = cjson.encode({ code = 'cancelled', message = 'the job was cancelled' })

local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1e6

local function stamp(seconds)
  return string.format('%.6f', seconds) -- tostring would keep 14 digits, a tenth of a millisecond
end

local function key(kind, name)
  return root .. ':' .. kind .. (name and ':' .. name or '')
end

local function fields(id, ...)
  return unpack(redis.call('HMGET', key('job', id), ...), 1, select('#', ...))
end

-- Tells who watches now, over all models; `id` of an event rises with time, also where nothing keeps it.
local function tell(id, event, ...)
  local told, named = { id = event, job_id = id, tenant = fields(id, 'tenant') or '' }, { ... }
  for i = 1, #named, 2 do
    told[named[i]] = tostring(named[i + 1])
  end
  redis.call('PUBLISH', LIVE, cjson.encode(told))
end

local function this_moment()
  return string.format('%.0f-0', math.floor(now * 1000))
end

-- Tells it, and keeps it for who comes back.
local function publish(id, seconds, ...)
  local events = key('events', id)
  local event = redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*', ...)
  redis.call('EXPIRE', events, seconds)
  tell(id, event, ...)
end

-- The jobs that share the computation of this one, the oldest first.
local function sharers(id)
  return redis.call('ZRANGE', key('sharers', id), 0, -1)
end

-- An event of a job, and of all that share its computation.
local function publish_all(id, ...)
  publish(id, EVENTS_SECONDS, ...)
  for _, other in ipairs(sharers(id)) do
    publish(other, EVENTS_SECONDS, ...)
  end
end

-- Writes fields of a job, and of all that share its computation.
local function write_all(id, ...)
  redis.call('HSET', key('job', id), ...)
  for _, other in ipairs(sharers(id)) do
    redis.call('HSET', key('job', other), ...)
  end
end

-- Adds to what a tenant has used.
local function use(tenant, what, amount)
  if tenant and tenant ~= '' then
    local today = key('used', tenant .. ':' .. math.floor(now / 86400))
    redis.call('HSETNX', key('used'), tenant .. ':since', stamp(now))
    redis.call('HINCRBYFLOAT', key('used'), tenant .. ':' .. what, amount)
    redis.call('HINCRBYFLOAT', today, what, amount)
    redis.call('EXPIRE', today, USED_SECONDS)
  end
end

-- What cannot be read is taken out of its place and kept for people, so that it is met once.
local function set_aside(place, member)
  redis.call('XADD', key('aside'), 'MAXLEN', '~', ASIDE_KEPT, '*', 'place', place, 'member', member)
end

-- What a job takes of a device, as in `cost.py`. No field of the record: workers of another version refuse what they do
-- not know.
local function cost_of(request)
  local known, what = pcall(cjson.decode, request)
  local cost = known and type(what) == 'table' and 1 or 0
  for _, name in ipairs({ 'width', 'height', 'frames', 'steps' }) do
    cost = cost > 0 and cost * (tonumber(what[name]) or 0) or 0 -- what is damaged costs itself alone
  end
  return cost
end

-- The job counts no longer among those of its tenant that wait.
local function stop_counting(id, cost)
  local tenant = fields(id, 'tenant') or ''
  if redis.call('SREM', key('waiting', tenant), id) == 1 then
    if redis.call('EXISTS', key('waiting', tenant)) == 0 then
      redis.call('HDEL', key('costs'), tenant)
    else
      redis.call('HINCRBYFLOAT', key('costs'), tenant, -cost)
    end
  end
end

-- The job waits no longer, in a lane or for its tenant.
local function stop_waiting(id, lane)
  redis.call('ZREM', key('queued', lane), id)
  redis.call('ZREM', key('since', lane), id)
  redis.call('ZREM', key('deadlines'), id)
  if redis.call('EXISTS', key('queued', lane)) == 0 then
    redis.call('DEL', key('turns', lane)) -- nobody is owed anything
  end
  stop_counting(id, cost_of(fields(id, 'request')))
end

-- How many devices have computed the job together, which are then counted.
local function release_devices(id)
  local devices, worker = string.match(redis.call('HGET', key('devices'), id) or '', '^(%d+) (.*)$')
  redis.call('HDEL', key('devices'), id)
  return worker == fields(id, 'worker') and tonumber(devices) or 1
end

-- The job leaves lane, stream and lease. First step of every end of an attempt.
local function leave(id)
  redis.call('ZREM', key('leases'), id)
  local lane, entry, tenant, state, started = fields(id, 'lane', 'entry', 'tenant', 'state', 'started_at')
  redis.call('SREM', key('running', tenant or ''), id)
  redis.call('SREM', key('following', tenant or ''), id)
  if redis.call('SREM', key('sharing'), id) == 1 then
    redis.call('ZREM', key('deadlines'), id)
    stop_counting(id, 0)
  elseif state == 'running' then -- whatever the attempt came to
    local seconds = math.max(0, now - (tonumber(started) or now))
    use(tenant, 'device_seconds', stamp(seconds * release_devices(id)))
  end
  if lane and entry then
    stop_waiting(id, lane)
    redis.call('XDEL', key('stream', lane), entry)
  end
end

-- When a tenant's next job has its turn in a lane: start-time fair queueing (Goyal, Vin, Cheng 1996). A job's turn is
-- that of the tenant's job before it plus what that one costs, but never before the turn that the lane has come to. So
-- each tenant gets the same work done while it has jobs, and the first job of one that had none is next.
local function next_turn(tenant, lane, cost)
  if lane == 'retry' then
    return now -- it had its turn
  end
  local turns = key('turns', lane)
  local served, own = unpack(redis.call('HMGET', turns, '', tenant))
  if not served then -- behind what an older version has queued, by the clock
    served = (redis.call('ZRANGE', key('queued', lane), -1, -1, 'WITHSCORES')[2] or -1) + 1
    redis.call('HSET', turns, '', served)
  end
  local turn = math.max(tonumber(served), tonumber(own or 0))
  redis.call('HSET', turns, tenant, string.format('%.9f', turn + math.max(1, cost) / COST_OF_A_TURN))
  return turn + redis.call('HINCRBY', turns, '#', 1) / 1e9 -- whoever came first, of those that have the same turn
end

-- turn, since: those of a job whose place in the lane it takes, if it takes one's.
local function enter(id, lane, turn, since)
  local tenant, request, deadline = fields(id, 'tenant', 'request', 'deadline_at')
  local cost = cost_of(request)
  local entry = redis.call('XADD', key('stream', lane), '*', 'job', id)
  redis.call('ZADD', key('queued', lane), turn or string.format('%.9f', next_turn(tenant, lane, cost)), id)
  redis.call('ZADD', key('since', lane), since or stamp(now), id)
  redis.call('SADD', key('waiting', tenant), id)
  redis.call('HINCRBYFLOAT', key('costs'), tenant, cost)
  if deadline then
    redis.call('ZADD', key('deadlines'), deadline, id)
  end
  redis.call('HSET', key('job', id), 'state', 'queued', 'lane', lane, 'entry', entry)
end

-- Whether the job can no longer end in time.
local function is_late(id)
  local deadline = fields(id, 'deadline_at')
  return deadline and (tonumber(deadline) or 0) <= now
end

-- Jobs that wait, and for how long the first of them has.
local function depth()
  local queued, oldest = 0, now
  for _, lane in ipairs(LANES) do
    queued = queued + redis.call('ZCARD', key('queued', lane))
    local first = redis.call('ZRANGE', key('since', lane), 0, 0, 'WITHSCORES')
    oldest = math.min(oldest, tonumber(first[2] or now))
  end
  return queued, now - oldest
end
