-- As wrk.lua, but no two requests of a connection have the same bytes: a field counts them. Where they have a user,
-- each asks so many times, on whichever connections, and never again.
dofile((debug.getinfo(1, "S").source:sub(2):gsub("[^/]+$", "wrk.lua")))

local sent, times = 0, 1
function init(args)
  times = tonumber(args[1])
end
function request()
  sent = sent + 1
  wrk.headers["X-Sent"] = tostring(sent)
  if wrk.headers["X-User-Id"] then
    wrk.headers["X-User-Id"] = "user-" .. math.floor(sent / times)
  end
  return wrk.format()
end
