-- Accepts a job. A retry of a submission whose reply was lost finds the job and changes nothing.
-- ARGV: id, tenant, priority, request, metadata, seconds until its deadline ('' = none), the most jobs of the model that
--   may wait, the most of the tenant's, the most that these may cost together (0 = any),
--   id and URL of the message that is sent when the job ends, id of the job whose settings it has ('' = none), whether
--   it may be computed together with an identical one ('' = no), seconds that it is kept once it has ended ('' = as any),
--   id of a job whose result it is to have if that is still kept ('' = none), seconds that any is kept.
-- Returns { record, {} }, or where as many wait { {}, { 'model', 'tenant' or 'cost', seconds until there is room } }.
local id, tenant, priority, request, metadata, deadline, most, most_of_tenant, most_cost, webhook_id, webhook_url,
  remixed_from, shares, retention, source, usual_retention = unpack(ARGV)

local finished = source ~= '' and has_result(source, tenant, request)
local owner = not finished and shares ~= '' and alike(tenant, request)

local function limit_reached(queued)
  if finished then -- it does not wait
    return nil
  elseif redis.call('SCARD', key('waiting', tenant)) >= tonumber(most_of_tenant) then
    return 'tenant'
  elseif owner then
    return nil
  elseif queued >= tonumber(most) then
    return 'model'
  end
  local waiting = tonumber(redis.call('HGET', key('costs'), tenant) or 0)
  return tonumber(most_cost) > 0 and waiting + cost_of(request) > tonumber(most_cost) and 'cost'
end

if redis.call('EXISTS', key('job', id)) == 0 then
  local queued, waited = depth()
  local limit = limit_reached(queued)
  if limit then -- by Little's law: the first has waited while as many left as wait now
    local seconds = waited / math.max(1, queued)
    if limit ~= 'model' then -- tenants take turns
      seconds = seconds * math.max(1, redis.call('HLEN', key('costs')))
    end
    return { {}, { limit, stamp(seconds) } }
  end
  redis.call('HSET', key('job', id), 'id', id, 'tenant', tenant, 'priority', priority, 'request', request,
    'metadata', metadata, 'created_at', stamp(now), 'attempts', 0, 'step', 0)
  if deadline ~= '' then
    redis.call('HSET', key('job', id), 'deadline_at', stamp(now + deadline))
  end
  if retention ~= '' then
    redis.call('HSET', key('job', id), 'retention', retention)
  end
  if webhook_id ~= '' then
    redis.call('HSET', key('job', id), 'webhook_id', webhook_id, 'webhook_url', webhook_url)
  end
  if remixed_from ~= '' then
    redis.call('HSET', key('job', id), 'remixed_from', remixed_from)
  end
  redis.call('ZADD', key('tenant', tenant), stamp(now), id)
  redis.call('ZREM', key('expiries'), id .. ':' .. tenant) -- of an earlier job with this id, deleted and not swept yet
  use(tenant, 'submitted', 1)
  if finished then
    take_over(id, source, tonumber(usual_retention))
    return { redis.call('HGETALL', key('job', id)), {} }
  elseif owner then
    share(id, owner, priority)
  else
    enter(id, priority)
    if shares ~= '' then
      own(id)
    end
  end
  tell(id, this_moment(), 'type', 'state', 'state', fields(id, 'state')) -- a stream takes 4 KB, which a job that waits needs not
end
return { redis.call('HGETALL', key('job', id)), {} }
