-- Hands a text to whoever waits for it. KEYS: list. ARGV: text, seconds that it is kept there. Returns nothing.
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2])
