-- Ends an API key. KEYS: root of all keys. ARGV: id. Returns how many there were of it: 1 or 0.
redis.call('SREM', KEYS[1] .. ':ids', ARGV[1])
return redis.call('DEL', KEYS[1] .. ':key:' .. ARGV[1])
