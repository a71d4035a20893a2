-- As wrk.lua, but no two requests of a connection have the same bytes: a field counts them. Where they have a user,
-- each has another one of many.
dofile((debug.getinfo(1, "S").source:sub(2):gsub("[^/]+$", "wrk.lua")))

local sent = 0
function request()
  sent = sent + 1
  wrk.headers["X-Sent"] = tostring(sent)
  if wrk.headers["X-User-Id"] then
    wrk.headers["X-User-Id"] = "user-" .. sent
  end
  return wrk.format()
end
