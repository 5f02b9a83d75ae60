-- Jobs whose files are to go. ARGV: how many at most. Returns { "<id>:<tenant>", ... }. What is no job's is set aside.
local job_of_model = '^%l+_' .. string.gsub(string.sub(root, 4, -2), '%p', '%%%0') .. '_' .. string.rep('[0-9a-f]', 32)
local tenants = ':%w[%w._%-]*$'
local due = {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', key('expiries'), '-inf', stamp(now), 'LIMIT', 0, ARGV[1])) do
  if string.match(member, job_of_model .. tenants) then
    local id, tenant = string.match(member, '^(.-):(.*)$')
    if redis.call('EXISTS', key('sharers', id)) == 1 then -- its file is the result of others, and goes with the last
      forget(id, tenant)
    else
      table.insert(due, member)
    end
  else
    redis.call('ZREM', key('expiries'), member)
    set_aside('expiries', member)
  end
end
return due
