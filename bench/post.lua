-- wrk: one form POST, again and again. BENCH_BODY is the form; where it says @CLIENT@, one of BENCH_CLIENTS numbers
-- (seven digits, at random) takes its place, so that a cache of a few clients cannot answer for all.
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
