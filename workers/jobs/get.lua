-- ARGV: id, tenant. Returns the record with what is known of the steps, empty when the tenant has no such job: another's is not even read, so that the
-- answer takes no longer than that about a job which does not exist.
local owner, deleted = fields(ARGV[1], 'tenant', 'deleted')
if owner ~= ARGV[2] or deleted then
  return {}
end
local record = redis.call('HGETALL', key('job', ARGV[1]))
for _, text in ipairs(redis.call('HGETALL', key('steps', ARGV[1]))) do
  table.insert(record, text)
end
return record
