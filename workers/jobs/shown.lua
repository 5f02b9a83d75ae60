-- What a running job looks as if it will become. ARGV: id, tenant. Returns what `show.lua` kept, of the job whose
-- computation it shares if it does; empty where there is nothing, and for another tenant's job.
local owner, deleted, state, shares = fields(ARGV[1], 'tenant', 'deleted', 'state', 'result_of')
if owner ~= ARGV[2] or deleted or state ~= 'running' then
  return ''
end
return redis.call('GET', key('preview', shares or ARGV[1])) or ''
