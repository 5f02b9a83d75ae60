-- Adds an API key to an account. KEYS: root of all keys. ARGV: id, account, scopes, digest, most keys that the account may
-- have live, id of the key that it replaces ('' = none), seconds that the replaced one goes on.
-- Returns 'ok', 'many' where the account has as many, or 'gone' where the replaced one is no key of the account.
local root = KEYS[1]
local id, account, scopes, digest, most, replaced, grace = unpack(ARGV)
local now = tonumber(redis.call('TIME')[1])
grace = tonumber(grace)

local function record(of)
  return root .. ':key:' .. of
end

if redis.call('EXISTS', record(id)) == 1 then
  return 'ok' -- the reply to this very call was lost
end
if replaced ~= '' and redis.call('HGET', record(replaced), 'account') ~= account then
  return 'gone'
end
local live = 0
for _, other in ipairs(redis.call('SMEMBERS', root .. ':ids')) do
  local owner = redis.call('HGET', record(other), 'account')
  if not owner then
    redis.call('SREM', root .. ':ids', other) -- its time was over
  elseif owner == account and not (other == replaced and grace == 0) then
    live = live + 1
  end
end
if live >= tonumber(most) then
  return 'many'
end
redis.call('HSET', record(id), 'id', id, 'account', account, 'scopes', scopes, 'digest', digest, 'created_at', now)
redis.call('SADD', root .. ':ids', id)
if replaced ~= '' and grace == 0 then
  redis.call('DEL', record(replaced))
  redis.call('SREM', root .. ':ids', replaced)
elseif replaced ~= '' then
  redis.call('HSET', record(replaced), 'expires_at', now + grace)
  redis.call('EXPIRE', record(replaced), grace)
end
return 'ok'
