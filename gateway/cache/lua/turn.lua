-- A turn to fetch what all replicas want.
--
-- KEYS     the turn's lock, the mark of answers that are nobody else's, the resource's record
-- ARGV     this replica's token, how long a lock lasts (milliseconds), where the record's identity lies (two numbers)
-- Returns {0 let go | 1 ours | 2 another's, the record's identity}.

if redis.call('EXISTS', KEYS[2]) == 1 then
  return {0, ''}
end
local identity = redis.call('GETRANGE', KEYS[3], ARGV[3], ARGV[4])
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return {2, identity}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, identity}
