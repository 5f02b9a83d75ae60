-- Notes a completed job for an idle worker to run again. ARGV: id, list, most that wait, seconds to keep.
-- Returns 1, or 0 where the job did not complete or is gone.
local id, list, most, seconds = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local state, deleted = fields(id, 'state', 'deleted')
if state ~= 'completed' or deleted then
  return 0
end
redis.call('ZADD', key('reruns', list), stamp(now), id)
redis.call('EXPIRE', key('reruns', list), seconds)
for _, oldest in ipairs(redis.call('ZRANGE', key('reruns', list), 0, -most - 1)) do
  redis.call('ZREM', key('reruns', list), oldest)
  redis.call('HDEL', key('rerun', list), oldest)
end
return 1
