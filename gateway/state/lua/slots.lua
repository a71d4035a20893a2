-- In-flight caps: leases on slots, all that a gateway asks at one moment, in one call, by this server's clock.
--
-- KEYS     the caps concerned, each once: sorted sets of leases, by when they run out (milliseconds since the epoch)
-- ARGV[1]  how long a lease lasts, milliseconds
-- ARGV[i]  one request, packed: the operation (1 byte), its key's index (2 bytes), the limit (a double), the lease
-- Returns a list of integers, one a request: 1 or 0 for whether there was a slot, how many are taken, or 0.
--
-- A gateway that died renews nothing, so its leases run out and its slots come back.

local ACQUIRE, RELEASE, RENEW, COUNT = 1, 2, 3, 4

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lasts = tonumber(ARGV[1])
local ends = string.format('%.0f', now + lasts)
local taken, lengthened = {}, {}

-- How many are taken, once those that have run out are gone.
local function count(key)
  if not taken[key] then
    redis.call('ZREMRANGEBYSCORE', KEYS[key], '-inf', string.format('%.0f', now))
    -- From a clock that had been ahead: no living gateway renews so far into the future.
    redis.call('ZREMRANGEBYSCORE', KEYS[key], string.format('%.0f', now + 2 * lasts), '+inf')
    taken[key] = redis.call('ZCARD', KEYS[key])
  end
  return taken[key]
end

local function hold(key, lease)
  local added = redis.call('ZADD', KEYS[key], ends, lease)
  if taken[key] then
    taken[key] = taken[key] + added
  end
  if not lengthened[key] then
    lengthened[key] = true
    redis.call('PEXPIRE', KEYS[key], lasts + 1000)
  end
end

local answers = {}
for i = 2, #ARGV do
  local text = ARGV[i]
  local operation, key, limit, at = struct.unpack('<BHd', text)
  local lease = string.sub(text, at)
  local answer = 0
  if operation == ACQUIRE then
    if count(key) < limit then
      hold(key, lease)
      answer = 1
    end
  elseif operation == RELEASE then
    local gone = redis.call('ZREM', KEYS[key], lease)
    if taken[key] then
      taken[key] = taken[key] - gone
    end
  elseif operation == RENEW then
    hold(key, lease)
  elseif operation == COUNT then
    answer = count(key)
  end
  answers[i - 1] = answer
end
return answers
