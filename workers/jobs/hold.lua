-- Goes on with a rerun for some seconds, gives it back for others ('0'), or ends it (''). ARGV: id, list, token, seconds.
-- Returns 1, or 0 where it is not this worker's any more or its job is gone.
local id, list, token, seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local reruns, claims = key('reruns', list), key('rerun', list)
local tries, owner = string.match(redis.call('HGET', claims, id) or '', '^(%d+) (.*)$')
if owner ~= token then
  return 0
end
local state, deleted = fields(id, 'state', 'deleted')
if seconds == '' or state ~= 'completed' or deleted then
  redis.call('ZREM', reruns, id)
  redis.call('HDEL', claims, id)
  return state == 'completed' and not deleted and 1 or 0
end
redis.call('ZADD', reruns, 'XX', stamp(now + seconds), id) -- a list that has expired is not begun again
if seconds == '0' then
  redis.call('HSET', claims, id, tries .. ' ')
end
return 1
