-- Hands messages that are due to a sender, each with a lease: one that is not reported on by then is due again.
-- ARGV: token, lease seconds, the most in all, of a lane, of a tenant, what the sender has under way as JSON
-- { lanes: { lane: n }, tenants: { tenant: n } }. Returns their records.
local token, lease, most, most_of_lane, most_of_tenant = ARGV[1], tonumber(ARGV[2]), unpack(ARGV, 3, 5)
local under_way = cjson.decode(ARGV[6])
local lanes, tenants = under_way.lanes, under_way.tenants
local records = {}

local function take(message, lane, tenant)
  local record = key('delivery', message)
  if redis.call('HGET', record, 'lane') ~= lane then -- its record is gone, or was never whole
    redis.call('ZREM', key('outbox', lane), message)
    redis.call('ZREM', key('undelivered'), message)
    set_aside('outbox:' .. lane, message)
    return
  end
  redis.call('ZADD', key('outbox', lane), stamp(now + lease), message)
  redis.call('HSET', record, 'state', 'sending', 'token', token)
  redis.call('HINCRBY', record, 'attempts', 1)
  tenants[tenant] = (tenants[tenant] or 0) + 1
  table.insert(records, redis.call('HGETALL', record))
end

for _, lane in ipairs(redis.call('ZRANGEBYSCORE', key('outbox'), '-inf', stamp(now))) do
  local tenant = string.match(lane, '^(%S*)')
  local room = math.min(most - #records, most_of_lane - (lanes[lane] or 0), most_of_tenant - (tenants[tenant] or 0))
  if room > 0 then
    for _, message in ipairs(redis.call('ZRANGEBYSCORE', key('outbox', lane), '-inf', stamp(now), 'LIMIT', 0, room)) do
      take(message, lane, tenant)
    end
    rank_lane(lane)
  end
  if #records >= tonumber(most) then
    break
  end
end
return records
