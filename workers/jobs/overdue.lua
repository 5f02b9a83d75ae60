-- Ends queued jobs whose deadline is over, at most 100. ARGV: retention seconds. Returns their ids.
local ended = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('deadlines'), '-inf', stamp(now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', key('deadlines'), id)
  if fields(id, 'state') == 'queued' then
    finish(id, 'failed', tonumber(ARGV[1]), 'error', LATE)
    table.insert(ended, id)
  end
end
return ended
