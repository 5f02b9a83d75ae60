-- Ends queued jobs that nobody will ever run, at most 100. ARGV: retention seconds, error. Returns their ids.
local retention, failure = tonumber(ARGV[1]), ARGV[2]
local abandoned = {}
for _, lane in ipairs(LANES) do
  for _, id in ipairs(redis.call('ZRANGE', key('queued', lane), 0, 99 - #abandoned)) do
    finish(id, 'failed', retention, 'error', failure)
    table.insert(abandoned, id)
  end
  if #abandoned == 100 then
    break
  end
end
return abandoned
