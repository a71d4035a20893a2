-- Live values of flags: what has changed since a replica last asked, and what it wants to have kept.
--
-- KEYS     a hash of flags, and from the second on the list of the last changes of each flag that is written
-- ARGV     the mark of what the replica knows, a mark for what is there after this, the mark that the change was made
--          upon (or * to have kept whatever is later than what is there), the channel, how many flags the hash and how
--          many changes a list holds, and from the seventh on by threes: a flag, when it was changed (milliseconds
--          since 1970; a change that is made now has a time of the server's, and at least this), and the change
-- Returns {kept, stale or full, mark, the hash as pairs}; the last is left out where the replica knows it.
--
-- The hash has "WHEN:CHANGE" for each flag, and the mark for the empty name. The mark is another one after each write.

-- Whether one more flag fits; those whose live value is gone make room.
local function room(most)
  if redis.call('HLEN', KEYS[1]) > most then
    local pairs = redis.call('HGETALL', KEYS[1])
    for i = 1, #pairs, 2 do
      if string.find(pairs[i + 1], '^%d+:{"value":null') then
        redis.call('HDEL', KEYS[1], pairs[i])
      end
    end
  end
  return redis.call('HLEN', KEYS[1]) <= most
end

local mark = redis.call('HGET', KEYS[1], '') or ''
local status = 'kept'
if #ARGV > 6 and ARGV[3] ~= '*' and ARGV[3] ~= mark then
  status = 'stale'
elseif #ARGV > 6 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local wrote = false
  for i = 7, #ARGV, 3 do
    local before = redis.call('HGET', KEYS[1], ARGV[i])
    local at = tonumber(string.match(before or '', '^(%d+):') or '0')
    if at >= 9e13 then  -- later than any clock says (codec.LATEST)
      at = 0
    end
    local when = tonumber(ARGV[i + 1])
    if ARGV[3] ~= '*' then
      when = math.max(when, now, at + 1)
    end
    if not before and not room(tonumber(ARGV[5])) then
      status = 'full'
    elseif when > at then
      local change = string.format('%.0f', when) .. ':' .. ARGV[i + 2]
      local list = KEYS[2 + (i - 7) / 3]
      -- First what may fail, for the list's key may have become something else.
      redis.call('RPUSH', list, change)
      redis.call('LTRIM', list, -tonumber(ARGV[6]), -1)
      redis.call('HSET', KEYS[1], ARGV[i], change)
      wrote = true
    end
  end
  if wrote then
    mark = ARGV[2]
    redis.call('HSET', KEYS[1], '', mark)
    -- A user who may not publish has it seen half a second later.
    redis.pcall('PUBLISH', ARGV[4], mark)
  end
end
if mark == ARGV[1] then
  return {status, mark}
end
return {status, mark, redis.call('HGETALL', KEYS[1])}
