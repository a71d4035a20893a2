-- As wrk.lua, but no two requests of a connection have the same bytes: a field counts them.
dofile((debug.getinfo(1, "S").source:sub(2):gsub("[^/]+$", "wrk.lua")))

local sent = 0
function request()
  sent = sent + 1
  wrk.headers["X-Sent"] = tostring(sent)
  return wrk.format()
end
