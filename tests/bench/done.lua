-- What each script reports at the end: a line of JSON. `more` is what a script counted itself.
return function(summary, latency, more)
	local errors = summary.errors
	local fields = {
		requests = summary.requests,
		duration_s = summary.duration / 1e6,
		rate = summary.requests / (summary.duration / 1e6),
		p50_ms = latency:percentile(50) / 1000,
		p95_ms = latency:percentile(95) / 1000,
		p99_ms = latency:percentile(99) / 1000,
		errors = errors.connect + errors.read + errors.write + errors.status + errors.timeout,
	}
	for name, value in pairs(more or {}) do
		fields[name] = value
	end
	local parts = {}
	for name, value in pairs(fields) do
		parts[#parts + 1] = string.format('"%s":%.6f', name, value)
	end
	print("{" .. table.concat(parts, ",") .. "}")
end
