-- Put before every script on a model's keys, after `common.lua`: the messages to clients' receivers.

-- Where a lane stands among the others: by the first message in it.
local function rank_lane(lane)
  local first = redis.call('ZRANGE', key('outbox', lane), 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', key('outbox'), first[2], lane)
  else
    redis.call('ZREM', key('outbox'), lane)
  end
end

-- The message is to go out at that time.
local function schedule(message, lane, due)
  redis.call('HSET', key('delivery', message), 'state', 'pending', 'due_at', stamp(due))
  redis.call('ZADD', key('outbox', lane), stamp(due), message)
  rank_lane(lane)
end

-- The message is not to go out any more.
local function unschedule(message, lane)
  redis.call('ZREM', key('undelivered'), message)
  redis.call('ZREM', key('outbox', lane), message)
  rank_lane(lane)
end

-- At most so many messages of a tenant are kept; those whose record has expired go first.
local function trim_deliveries(tenant)
  local log = key('deliveries', tenant)
  for _, message in ipairs(redis.call('ZRANGE', log, 0, 9)) do
    local lane = redis.call('HGET', key('delivery', message), 'lane')
    if lane and redis.call('ZCARD', log) <= DELIVERIES_KEPT then
      return
    end
    if lane then
      unschedule(message, lane)
    end
    redis.call('DEL', key('delivery', message))
    redis.call('ZREM', log, message)
  end
end

-- A message that the job has ended, where its client asked for one: neither is without the other.
local function notify(id, tenant, state)
  local message, url = fields(id, 'webhook_id', 'webhook_url')
  if not message or not url then
    return
  end
  local lane = tenant .. ' ' .. (string.match(url, '^%a+://[^/?]+') or url)
  local event = string.match(id, '^%l+') .. '.' .. (state == 'dead' and 'failed' or state)
  redis.call('HSET', key('delivery', message), 'id', message, 'tenant', tenant, 'job', id, 'type', event, 'url', url,
    'lane', lane, 'created_at', stamp(now), 'attempts', 0)
  redis.call('ZADD', key('deliveries', tenant), stamp(now), message)
  redis.call('ZADD', key('undelivered'), stamp(now), message)
  schedule(message, lane, now)
  trim_deliveries(tenant)
end
