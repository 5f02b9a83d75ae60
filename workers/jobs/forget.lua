-- Drops the record of a job whose files are gone. ARGV: id, tenant.
local id, tenant = ARGV[1], ARGV[2]
redis.call('ZREM', key('expiries'), id .. ':' .. tenant)
local state = fields(id, 'state')
if state ~= 'queued' and state ~= 'running' then -- a deleted id may have been submitted anew
  redis.call('DEL', key('job', id), key('events', id))
  unlist(id, tenant)
end
