-- The tenant's job that has the result of a request. ARGV: tenant, request, version that it is to be computed by.
-- Returns the record, empty where there is none.
local tenant, request, version = unpack(ARGV)
local kept = redis.call('GET', key('finished', likeness(tenant, request))) or ''
local id, made_by = string.match(kept, '^(%S+) (%S+)$')
if made_by ~= version or not has_result(id, tenant, request) then
  return {}
end
return redis.call('HGETALL', key('job', id))
