-- What wrk has counted, as one line of JSON; times in microseconds. It defines neither request() nor
-- response(), so that wrk stays on its fast path.
function done(summary, latency, requests)
  io.write(string.format(
    '\n{"seconds": %.6f, "requests": %d, "bytes": %d, "p50": %d, "p99": %d, "bad_status": %d, "socket_errors": %d}\n',
    summary.duration / 1e6, summary.requests, summary.bytes,
    latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
