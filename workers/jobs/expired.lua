-- Jobs whose files are to go. ARGV: how many at most. Returns { "<id>:<tenant>", ... }.
return redis.call('ZRANGEBYSCORE', key('expiries'), '-inf', stamp(now), 'LIMIT', 0, ARGV[1])
