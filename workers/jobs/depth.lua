-- Returns { queued, running, seconds that the longest-waiting job has been in the queue }.
local queued, waited = depth()
return { queued, redis.call('ZCARD', key('leases')), stamp(waited) }
