-- POST BODY, or what METHOD says, to ASKED_PATH, whose ID is that of a thread of its own each time:
-- THREADS is a file with them, a line each. PAUSE_MS is how long a connection waits between two requests in the mean.
-- CLIENTS=many: each ten requests have an address of their own, as a proxy before us would tell it.
--
-- wrk's own percentiles tell what clients would see who come at a steady rate whatever happens: it adds
-- to each long wait the shorter ones of those who would have come meanwhile. EXACT=1, with a connection
-- for each of wrk's threads, takes the time of each request as it was, and looks whether its body is
-- ANSWER, if that is set.

local finish = require("done")
local method = os.getenv("METHOD") or "POST"
local path, body = os.getenv("ASKED_PATH"), os.getenv("BODY")
local pause_ms, answer = tonumber(os.getenv("PAUSE_MS")), os.getenv("ANSWER")
local step = tonumber(os.getenv("STEP"))
local exact, many = os.getenv("EXACT") == "1", os.getenv("CLIENTS") == "many"
local ids, count, threads, begun = {}, 0, {}, nil
local headers = { ["Content-Type"] = os.getenv("TYPE") or "text/plain" }
times_us, bad = {}, 0

if os.getenv("AUTHORIZATION") then
	headers["Authorization"] = os.getenv("AUTHORIZATION")
end
for id in io.lines(os.getenv("THREADS") or "/dev/null") do
	ids[#ids + 1] = id
end

local ffi = require("ffi")
ffi.cdef("struct timespec { long seconds, nanoseconds; }; int clock_gettime(int, struct timespec *);")
local MONOTONIC = 1
local clock = ffi.new("struct timespec")

local function now_us()
	ffi.C.clock_gettime(MONOTONIC, clock)
	return tonumber(clock.seconds) * 1e6 + tonumber(clock.nanoseconds) / 1e3
end

-- wrk's threads, STEP of them, go through the ids side by side. Those before this one run already, and
-- nobody but themselves may touch what is theirs.
function setup(thread)
	thread:set("first", #threads)
	threads[#threads + 1] = thread
end

function request()
	local at = path
	if #ids > 0 then
		at = path:gsub("ID", ids[(first + step * count) % #ids + 1])
	end
	count = count + 1
	if many then
		local client = math.floor(count / 10)
		headers["X-Forwarded-For"] = string.format("10.%d.%d.%d",
			math.floor(client / 65536), math.floor(client / 256) % 256, client % 256)
	end
	local text = wrk.format(method, at, headers, body)
	begun = exact and now_us()
	return text
end

if exact then
	function response(status, _, text)
		times_us[#times_us + 1] = now_us() - begun
		if status ~= 200 or (answer and text ~= answer and text ~= answer .. "\n") then
			bad = bad + 1
		end
	end
end

if pause_ms then
	-- Else all of wrk's threads would throw the same dice, and ask at the same moments.
	function init()
		math.randomseed(first + 1)
	end

	function delay()
		return math.random(0, 2 * pause_ms)
	end
end

function done(summary, latency)
	local more = nil
	if exact then
		local all = {}
		more = { bad = 0 }
		for _, thread in ipairs(threads) do
			for _, one in ipairs(thread:get("times_us")) do
				all[#all + 1] = one
			end
			more.bad = more.bad + thread:get("bad")
		end
		table.sort(all)
		for _, part in ipairs({ 50, 95, 99 }) do
			more["p" .. part .. "_ms"] = all[math.ceil(part / 100 * #all)] / 1000
		end
	end
	finish(summary, latency, more)
end
