-- Runs under /v1 without a stream. Each of CONNECTIONS, a thread of wrk each, creates a run, polls
-- it without a pause until it is completed, then creates the next. THREADS is a file of thread ids,
-- BODY what creates a run. Besides requests it counts runs and failures.

local finish = require("done")
local ids, at, run = {}, 0, nil
local headers = {
	["Content-Type"] = "application/json", ["Authorization"] = os.getenv("AUTHORIZATION"),
}
local threads = {}
runs, bad = 0, 0

for id in io.lines(os.getenv("THREADS")) do
	ids[#ids + 1] = id
end

function setup(thread)
	thread:set("first", #threads)
	threads[#threads + 1] = thread
end

function init()
	-- Each begins at another place of the list, far enough from the next one's.
	at = math.floor(first * #ids / tonumber(os.getenv("CONNECTIONS")))
end

function request()
	local runs_path = "/v1/threads/" .. ids[at % #ids + 1] .. "/runs"
	if run then
		return wrk.format("GET", runs_path .. "/" .. run, headers)
	end
	return wrk.format("POST", runs_path, headers, os.getenv("BODY"))
end

function response(status, _, body)
	local state = body:match('"status": ?"([a-z_]+)"')
	if status == 200 and (state == "queued" or state == "in_progress") then
		run = body:match('"id": ?"(run_%w+)"')
		return
	end
	if status == 200 and state == "completed" then
		runs = runs + 1
	else
		bad = bad + 1
	end
	run = nil
	at = at + 1
end

function done(summary, latency)
	local more = { runs = 0, bad = 0 }
	for _, thread in ipairs(threads) do
		more.runs = more.runs + thread:get("runs")
		more.bad = more.bad + thread:get("bad")
	end
	finish(summary, latency, more)
end
