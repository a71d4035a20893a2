-- Goes on with a turn, or ends it.
--
-- KEYS     the turn's lock, the mark of answers that are nobody else's
-- ARGV     the holder's token, how long the lock lasts from now on (milliseconds; 0 ends it), and how long the mark
--          does (0 sets none)
-- Returns 1, or 0 where the turn is another's by now.

local holder = redis.call('GET', KEYS[1])
if ARGV[3] ~= '0' then
  redis.call('SET', KEYS[2], '', 'PX', ARGV[3])
end
if ARGV[2] == '0' then
  if holder == ARGV[1] then
    redis.call('DEL', KEYS[1])
  end
  return 1
end
if holder and holder ~= ARGV[1] then
  return 0
end
-- Also where it is gone, with the server's memory: its holder lives.
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
