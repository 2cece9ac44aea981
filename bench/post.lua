-- wrk: one form POST, again and again. BENCH_BODY is the form; where it says @CLIENT@, one of BENCH_CLIENTS numbers
-- (seven digits, at random) takes its place, so that a cache of a few clients cannot answer for all. Where it says
-- @TOKEN@, the oldest token of the file BENCH_TOKENS takes its place, and a refresh token in the answer joins the others.
-- Prints one line of JSON at the end.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"

local body = os.getenv("BENCH_BODY") or ""
local clients = tonumber(os.getenv("BENCH_CLIENTS") or "0")

if clients > 0 then
  local before, after = string.match(body, "^(.-)@CLIENT@(.*)$")
  function init() math.randomseed(os.time()) end
  function request()
    return wrk.format(nil, nil, nil, before .. string.format("%07d", math.random(0, clients - 1)) .. after)
  end
elseif string.find(body, "@TOKEN@", 1, true) then
  local before, after = string.match(body, "^(.-)@TOKEN@(.*)$")
  local tokens, first, last = {}, 1, 0
  local function keep(token) last = last + 1; tokens[last] = token end
  for token in io.lines(os.getenv("BENCH_TOKENS")) do keep(token) end
  function request()
    local token = tokens[first] or ""
    tokens[first] = nil
    first = first + 1
    return wrk.format(nil, nil, nil, before .. token .. after)
  end
  function response(_, _, answer)
    local token = string.match(answer, '"refresh_token":"([^"]+)"')
    if token then keep(token) end
  end
elseif os.getenv("BENCH_COLLECT") then
  -- Keeps every access token, for runs that need each of them once.
  local file = assert(io.open(os.getenv("BENCH_COLLECT"), "w"))
  wrk.body = body
  function response(_, _, answer)
    local token = string.match(answer, '"access_token":"([^"]+)"')
    if token then file:write(token, "\n") end
  end
else
  wrk.body = body
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'JSON{"requests":%d,"seconds":%.4f,"p50_ms":%.3f,"p99_ms":%.3f,"max_ms":%.3f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
