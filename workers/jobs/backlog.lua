-- What is still to be delivered. Returns { how many, seconds since the oldest was made, seconds that one is overdue }.
local function age(first)
  return stamp(math.max(0, now - tonumber(first[2] or now)))
end
return {
  redis.call('ZCARD', key('undelivered')),
  age(redis.call('ZRANGE', key('undelivered'), 0, 0, 'WITHSCORES')),
  age(redis.call('ZRANGE', key('outbox'), 0, 0, 'WITHSCORES')),
}
