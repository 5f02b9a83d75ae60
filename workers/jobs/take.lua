-- Gives the newest noted job to an idle worker. ARGV: list, token, seconds that it is this worker's, tries in all,
-- seconds to keep. Returns { record, 0 }, or { {}, 0 } when none waits; in place of 0 how many were dropped, because
-- their jobs are gone or they have been tried too often.
local list, token, lease, most, seconds = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local reruns, claims = key('reruns', list), key('rerun', list)
local dropped = 0
while true do
  local id = redis.call('ZREVRANGEBYSCORE', reruns, stamp(now), '-inf', 'LIMIT', 0, 1)[1]
  if not id then
    return { {}, dropped }
  end
  local state, deleted = fields(id, 'state', 'deleted')
  local tries = tonumber(string.match(redis.call('HGET', claims, id) or '', '^%d+')) or 0
  if state == 'completed' and not deleted and tries < most then
    redis.call('ZADD', reruns, stamp(now + lease), id)
    redis.call('HSET', claims, id, tries + 1 .. ' ' .. token)
    redis.call('EXPIRE', claims, seconds)
    return { redis.call('HGETALL', key('job', id)), dropped }
  end
  redis.call('ZREM', reruns, id)
  redis.call('HDEL', claims, id)
  dropped = dropped + 1
end
