-- POST BODY to ASKED_PATH, whose ID is that of a thread of its own each time: THREADS is a file with
-- them, a line each. PAUSE_MS is how long a connection waits between two requests in the mean.
-- CLIENTS=many: each ten requests have an address of their own, as a proxy before us would tell it.

local finish = require("done")
local path, pause_ms = os.getenv("ASKED_PATH"), tonumber(os.getenv("PAUSE_MS"))
local many = os.getenv("CLIENTS") == "many"
local body = os.getenv("BODY")
local ids, count = {}, 0
local headers = { ["Content-Type"] = os.getenv("TYPE") or "text/plain" }

if os.getenv("AUTHORIZATION") then
	headers["Authorization"] = os.getenv("AUTHORIZATION")
end
for id in io.lines(os.getenv("THREADS") or "/dev/null") do
	ids[#ids + 1] = id
end

function request()
	count = count + 1
	if many then
		local client = math.floor(count / 10)
		headers["X-Forwarded-For"] = string.format("10.%d.%d.%d",
			math.floor(client / 65536), math.floor(client / 256) % 256, client % 256)
	end
	local at = path
	if #ids > 0 then
		at = path:gsub("ID", ids[(count - 1) % #ids + 1])
	end
	return wrk.format("POST", at, headers, body)
end

if pause_ms then
	function delay()
		return math.random(0, 2 * pause_ms)
	end
end

function done(summary, latency)
	finish(summary, latency)
end
