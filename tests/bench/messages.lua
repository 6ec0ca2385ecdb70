-- Sends METHOD (POST) with BODY to ASKED_PATH, in which ID becomes another thread's id each time,
-- from the file THREADS, one a line. PAUSE_MS: a connection's mean pause between two requests.
-- CLIENTS=many: ten requests each come from one address, in X-Forwarded-For.
--
-- wrk corrects its percentiles for coordinated omission: to each long wait it adds the waits of the
-- requests that a constant rate would have sent meanwhile. EXACT=1, with a connection for each of
-- wrk's threads, takes the time of each request itself, and checks its status, and its body if
-- ANSWER is set.

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

-- The STEP threads of wrk share the ids: each begins with its own number and takes every STEP-th.
-- This function may only set variables of the new thread, because earlier ones run already.
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
	-- Without this all of wrk's threads would have the same pauses, and send at the same
	-- moments.
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
