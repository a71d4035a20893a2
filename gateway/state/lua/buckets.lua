-- Rate limits: all that a gateway asks at one moment, in one call, by this server's clock.
--
-- KEYS     the buckets concerned, each once
-- ARGV[i]  one request, packed: the operation (1 byte), how many charges (2 bytes), and each charge:
--          key (its index, 2 bytes), kind (1 byte), cost, interval, capacity (doubles);
--          a quota's charge goes on with four doubles: seconds since the epoch at which the windows around the
--          gateway's own now begin and end (the one before, this one, the one after).
-- Returns a list of strings, one a request: what `redis_codec.py` unpacks.
--
-- A rate's bucket holds its level in microseconds, as a double with a fraction, and when that was so. A quota's holds
-- a count and its window's start and end. Doubles hold integers to 2^53, which microseconds reach in the year 2255.
-- Nothing is given away when the clock goes back: a level stays as it was and falls from then on.

local TAKE, SOME, GIVE, FORCE, LOOK, RAISE = 1, 2, 3, 4, 5, 6
local QUOTA, SHADOW = 1, 2
local KEEP = 1000            -- milliseconds that a key outlives what it says
local LONGEST = 1e15         -- microseconds, 31 years: no level lies above it

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local stored = redis.call('MGET', unpack(KEYS))
local levels, starts, stops, known = {}, {}, {}, {}
local changed, order = {}, {}

local function change(key, level)
  levels[key] = math.min(math.max(level, 0), LONGEST)
  if not changed[key] then
    changed[key] = true
    order[#order + 1] = key
  end
end

local function load_rate(key)
  local raw = stored[key]
  levels[key] = 0
  if raw and #raw == 16 then
    local level, last = struct.unpack('<dd', raw)
    known[key] = true
    levels[key] = level
    if last > now then
      change(key, level)     -- written anew, or it would not fall before the old time comes again
    else
      levels[key] = math.max(0, level - (now - last))
    end
  end
end

-- The window at this server's now. Where that is outside all that the gateway knows of, windows as long as the last.
local function window(before, start, stop, after)
  if now < before then
    local length = start - before
    local ends = before - math.floor((before - now) / length) * length
    return ends - length, ends
  elseif now < start then
    return before, start
  elseif now < stop then
    return start, stop
  elseif now < after then
    return stop, after
  end
  local length = after - stop
  local starts = after + math.floor((now - after) / length) * length
  return starts, starts + length
end

local function load_quota(key, before, start, stop, after)
  start, stop = window(before, start, stop, after)
  local raw = stored[key]
  levels[key] = 0
  if raw and #raw == 24 then
    local count, from, to = struct.unpack('<ddd', raw)
    if to > now then
      known[key] = true
      levels[key] = count
      if from > now and from <= stop then
        start, stop = from, to  -- the clock went back over a window's end: what was used in the next one stays used
      end
    end
  end
  starts[key], stops[key] = start, stop
end

-- One charge of a request, and where the next one begins.
local function read(text, at)
  local c = {}
  local kind
  c.key, kind, c.cost, c.interval, c.capacity, at = struct.unpack('<HBddd', text, at)
  c.quota = kind == QUOTA or kind == QUOTA + SHADOW
  c.shadow = kind >= SHADOW
  c.early = math.min(0.5, c.interval / 4)  -- of rounding, below a microsecond and far below a token
  if c.quota then
    local before, start, stop, after
    before, start, stop, after, at = struct.unpack('<dddd', text, at)
    if not levels[c.key] then
      load_quota(c.key, before * 1000000, start * 1000000, stop * 1000000, after * 1000000)
    end
  elseif not levels[c.key] then
    load_rate(c.key)
  end
  return c, at
end

-- How a key stands: whether a charge of `cost` fits, tokens left, microseconds until all are there, until it fits.
local function standing(c, cost, allowed)
  local level = levels[c.key]
  local left = math.max(0, math.floor((c.capacity - level + c.early) / c.interval))
  local reset = level
  if c.quota then
    reset = level > 0 and stops[c.key] - now or 0
  end
  local wait = 0
  if not allowed then
    if cost * c.interval > c.capacity + c.early then
      wait = -1
    elseif c.quota then
      wait = stops[c.key] - now
    else
      wait = level + cost * c.interval - c.capacity
    end
  end
  return struct.pack('<Bddd', allowed and 1 or 0, left, reset, wait)
end

local function fits(c, cost)
  return levels[c.key] + cost * c.interval <= c.capacity + c.early
end

local function take(charges)
  local taken, answer, refused = {}, {}, false
  for i, c in ipairs(charges) do
    local allowed = fits(c, c.cost)
    if allowed then
      taken[i] = levels[c.key]
      levels[c.key] = levels[c.key] + c.cost * c.interval
    elseif not c.shadow then
      refused = true
      break
    end
    answer[i] = standing(c, c.cost, allowed)
  end
  if not refused then
    for i, c in ipairs(charges) do
      if taken[i] then
        change(c.key, levels[c.key])
      end
    end
    return table.concat(answer)
  end
  for i = #charges, 1, -1 do
    if taken[i] then
      levels[charges[i].key] = taken[i]
    end
  end
  local together = {}
  for i, c in ipairs(charges) do
    local cost = (together[c.key] or 0) + c.cost
    local allowed = fits(c, cost)
    if allowed then
      together[c.key] = cost
    end
    answer[i] = standing(c, cost, allowed)
  end
  return table.concat(answer)
end

local function take_some(c, least)
  local count = math.min(c.cost, math.max(0, math.floor((c.capacity - levels[c.key] + c.early) / c.interval)))
  local allowed = count > 0 and count >= least
  if allowed then
    change(c.key, levels[c.key] + count * c.interval)
  else
    count = 0
  end
  return struct.pack('<d', count) .. standing(c, math.max(least, 1), allowed)
end

local function give_back(charges, age)
  for _, c in ipairs(charges) do
    local level = levels[c.key]
    if c.quota then
      if level > 0 and now - age >= starts[c.key] then
        change(c.key, level - c.cost)
      end
    else
      local left = c.cost * c.interval - age  -- what has drained since the take stays drained
      if level > 0 and left > 0 then
        change(c.key, level - left)
      end
    end
  end
end

local answers = {}
for i, text in ipairs(ARGV) do
  local operation, count, at = struct.unpack('<BH', text)
  local charges = {}
  for n = 1, count do
    charges[n], at = read(text, at)
  end
  local answer = ''
  if operation == TAKE then
    answer = take(charges)
  elseif operation == SOME then
    answer = take_some(charges[1], (struct.unpack('<d', text, at)))
  elseif operation == GIVE then
    give_back(charges, struct.unpack('<d', text, at) * 1000000)
  elseif operation == FORCE then
    local c = charges[1]
    change(c.key, levels[c.key] + c.cost * c.interval)
  elseif operation == LOOK then
    local c = charges[1]
    if known[c.key] or levels[c.key] > 0 then
      answer = standing(c, c.cost, fits(c, c.cost))
    end
  elseif operation == RAISE then
    -- The level that a gateway has come to by itself, as `cost` intervals.
    local c = charges[1]
    local level = math.min(c.cost * c.interval, c.capacity)
    if level > levels[c.key] then
      change(c.key, level)
    end
  end
  answers[i] = answer
end

for _, key in ipairs(order) do
  local level = levels[key]
  local value, lasts
  if stops[key] then
    value, lasts = struct.pack('<ddd', level, starts[key], stops[key]), stops[key] - now
  else
    value, lasts = struct.pack('<dd', level, now), level
  end
  if level > 0 then
    redis.call('SET', KEYS[key], value, 'PX', string.format('%.0f', math.ceil(lasts / 1000) + KEEP))
  else
    redis.call('DEL', KEYS[key])
  end
end
return answers
