-- Keeps what a running job looks as if it will become, in place of the last; those that share its computation are told.
-- ARGV: id, token, steps done, picture in base64. Returns 0 where the job is not this attempt's any more.
local id, token, step, picture = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local state, owner, deleted = fields(id, 'state', 'token', 'deleted')
if state ~= 'running' or owner ~= token or deleted then
  return 0
end
redis.call('SET', key('preview', id), step .. ' ' .. picture, 'EX', PREVIEW_SECONDS)
for _, each in ipairs({ id, unpack(sharers(id)) }) do
  tell(each, this_moment(), 'type', 'preview', 'step', step)
end
return 1
