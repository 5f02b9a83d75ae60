-- Models that once were served. KEYS: models. ARGV: seconds since the last time that one was, at least. Returns names.
local now = redis.call('TIME')[1]
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1])
