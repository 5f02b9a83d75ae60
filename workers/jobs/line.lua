-- The first jobs that wait, in the order of service, and those that run. ARGV: how many at most; a tenant whose turns
--   are wanted too ('' = none).
-- Returns JSON: { now, running = ids, lanes = { { jobs = { { id, turn, since, tenant, deadline } }, behind, served,
--   count, turns = { tenant, turn, tenant, turn, ... } } } }; behind is a number, others are text, '' where there is none.
local left, lanes, tenants = tonumber(ARGV[1]), {}, {}

local function job_of(id, lane, turn)
  local tenant, deadline = fields(id, 'tenant', 'deadline_at')
  tenants[tenant or ''] = true
  return { id, turn, redis.call('ZSCORE', key('since', lane), id) or '', tenant or '', deadline or '' }
end

for i, lane in ipairs(LANES) do
  local places = left > 0 and redis.call('ZRANGE', key('queued', lane), 0, left - 1, 'WITHSCORES') or {}
  local jobs = {}
  for place = 1, #places, 2 do
    jobs[#jobs + 1] = job_of(places[place], lane, places[place + 1])
  end
  left = left - #jobs
  lanes[i] = { jobs = jobs, behind = redis.call('ZCARD', key('queued', lane)) - #jobs }
end

tenants[ARGV[2]] = true
for i, lane in ipairs(LANES) do -- a job may move up, so of each tenant in each lane
  local turns = {}
  for tenant in pairs(tenants) do
    local turn = tenant ~= '' and redis.call('HGET', key('turns', lane), tenant)
    if turn then
      turns[#turns + 1] = tenant
      turns[#turns + 1] = turn
    end
  end
  local served, count = unpack(redis.call('HMGET', key('turns', lane), '', '#'))
  lanes[i].turns, lanes[i].served, lanes[i].count = turns, served or '', count or '0'
end
return cjson.encode({ now = stamp(now), running = redis.call('ZRANGE', key('leases'), 0, -1), lanes = lanes })
