-- Purges that a replica has missed, and those that it has for the others.
--
-- KEYS     a hash of `epoch` and `number`, and a list of the latest purges, the last one last
-- ARGV     the epoch and the number that the replica knows (of an empty epoch: none), an epoch for a server that has
--          none, how many purges the list holds, how long both last (milliseconds), the channel, and from the seventh
--          on the purges to number and to tell
-- Returns {epoch, number before these, {purges after the one that the replica knows, as far as they are there}}.
--
-- A number says how many purges there were in its epoch; an epoch ends when the server loses its memory. A server
-- that has lost but the latest (a replica that took over) is told their number, and that they are lost.

local known = tonumber(ARGV[2])
local stored = redis.call('HMGET', KEYS[1], 'epoch', 'number')
local epoch, number = stored[1], tonumber(stored[2] or '')
local write = false
if not epoch or not number then
  redis.call('DEL', KEYS[2])
  epoch, number, write = ARGV[3], 0, true
elseif epoch == ARGV[1] and number < known then
  redis.call('DEL', KEYS[2])
  number, write = known, true
end

local missed = {}
if epoch ~= ARGV[1] then
  missed = redis.call('LRANGE', KEYS[2], 0, -1)
elseif number > known then
  missed = redis.call('LRANGE', KEYS[2], known - number, -1)
end

local before = number
for i = 7, #ARGV do
  number, write = number + 1, true
  redis.call('RPUSH', KEYS[2], ARGV[i])
  -- A user who may not publish has them told half a second later.
  redis.pcall('PUBLISH', ARGV[6], string.format('%.0f', number) .. ':' .. ARGV[i])
end
if #ARGV >= 7 then
  redis.call('LTRIM', KEYS[2], -tonumber(ARGV[4]), -1)
end
if write then
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'number', string.format('%.0f', number))
end
if write or redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) / 2 then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return {epoch, string.format('%.0f', before), missed}
