-- Sends the bodies of a file (one JSON document per line) in rotation, and prints what wrk counted as one JSON line.
-- wrk ... -s post.lua URL -- FILE

local prepared, turn = {}, 0

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  for body in io.lines(args[1]) do
    prepared[#prepared + 1] = wrk.format(nil, nil, nil, body)
  end
end

function request()
  turn = turn % #prepared + 1
  return prepared[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answers": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
