-- Which gateways are alive.
--
-- KEYS[1]  a sorted set of gateways, by when they count as gone (milliseconds since the epoch)
-- ARGV     this gateway's name, and how long it counts as alive, milliseconds; 0 says that it is leaving
-- Returns how many there are.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lasts = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('%.0f', now + 120000), '+inf')
if lasts > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + lasts), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], lasts + 1000)
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return redis.call('ZCARD', KEYS[1])
