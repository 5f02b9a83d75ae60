-- ARGV: id, tenant. Returns the record, empty when the tenant has no such job: another's is not even read, so that the
-- answer takes no longer than that about a job which does not exist.
local owner, deleted = fields(ARGV[1], 'tenant', 'deleted')
if owner ~= ARGV[2] or deleted then
  return {}
end
return redis.call('HGETALL', key('job', ARGV[1]))
