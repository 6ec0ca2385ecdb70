// /v1: runs by stream and by polling, and pass-through to the model server.

import assert from 'node:assert/strict';
import { httpRequest } from '../e2e/lib.mjs';
import { SLICE_S, byTurns, each, errors, goal, median, mostMib, onOneCore, processorMs, slice, table }
	from './lib-bench.mjs';
import { QUESTION, apiSite, fixedServer, helloSite, proxySite, withPlace } from './lib-sites.mjs';

export const title = '`/v1`: runs, and what is passed through';

const CONNECTIONS = 32;
const THREADS = 4000 * SLICE_S;
const KINDS = { stream: 'by stream', poll: 'by poll, without a pause' };
const WAYS = {
	direct: 'the model server itself', proxy: 'nginx as the proxy',
	passed: 'nginx and assistants.fcgi', hello: 'limit: nginx and libfcgi hello',
};

const authorization = (site) => `Bearer ${site.key}`;

async function newAssistant(site) {
	const port = Number(new URL(site.url).port);
	const answer = await httpRequest(port, 'POST', '/v1/assistants', {
		headers: { authorization: authorization(site), 'content-type': 'application/json' },
		body: JSON.stringify({ model: 'm' }),
	});
	assert.equal(answer.status, 200, answer.text);
	return answer.json.id;
}

/** A slice of runs; all must have been stored. */
async function runs(site, assistant_id, kind) {
	const body = { assistant_id, stream: kind === 'stream' ? true : undefined,
		additional_messages: [{ role: 'user', content: QUESTION }] };
	const env = { AUTHORIZATION: authorization(site), ASKED_PATH: '/v1/threads/ID/runs',
		THREADS: site.fresh(THREADS), BODY: JSON.stringify(body), TYPE: 'application/json',
		CONNECTIONS: String(CONNECTIONS) };
	site.stored();
	const found = await slice(site, { script: kind === 'stream' ? 'messages.lua' : 'runs.lua',
		connections: CONNECTIONS, exact: kind === 'poll', env });
	const count = found.runs ?? found.requests - found.errors;
	const stored = site.stored();
	assert.ok(stored >= count, `${count} runs, ${stored} answers`);
	return { ...found, count };
}

export function run() {
	return withPlace(async (place) => {
		const fixed = await fixedServer(place);
		const site = await apiSite(place, fixed, { ASSISTANTS_SYNC: 'normal' });
		const sites = { direct: fixed, proxy: await proxySite(place, fixed), passed: site,
			hello: await helloSite(place) };
		await place.open();
		const assistant_id = await newAssistant(site);
		const made = await byTurns(Object.keys(KINDS), (kind) => runs(site, assistant_id, kind));
		const env = { AUTHORIZATION: authorization(site), ASKED_PATH: '/v1/chat/completions',
			TYPE: 'application/json',
			BODY: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: QUESTION }] }) };
		const ask = (connections, exact) => byTurns(Object.keys(WAYS),
			(name) => slice(sites[name], { connections, exact, env }));
		const pids = [process.pid, place.front, ...Object.values(sites).flatMap((one) => one.pids)];
		const passed = {
			alone: await onOneCore(pids, () => ask(1, true)), crowd: await ask(CONNECTIONS, false),
		};
		return { raw: { made, passed }, ...report(made, passed) };
	});
}

function report(made, passed) {
	const rows = Object.entries(KINDS).map(([kind, shown]) => [shown,
		each(made[kind], (one) => one.count / one.duration_s),
		each(made[kind], (one) => one.requests / one.count),
		processorMs(made[kind], (one) => one.count), mostMib(made[kind]), errors(made[kind])]);
	const ways = Object.entries(WAYS).map(([name, shown]) => [shown,
		each(passed.alone[name], (one) => one.p50_ms), each(passed.alone[name], (one) => one.p99_ms),
		each(passed.crowd[name], (one) => one.rate), processorMs(passed.crowd[name]),
		errors([...passed.alone[name], ...passed.crowd[name]])]);
	const added = (name) => median(passed.alone[name].map((one, i) =>
		one.p50_ms - passed.alone.direct[i].p50_ms));
	return {
		tables: [
			table([[`${CONNECTIONS} at once`, 'runs/s', 'requests a run', 'processor ms each',
				'memory MiB', 'errors'], ...rows]),
			table([['passed through', 'p50 ms, one after the other, on one core', 'p99 ms',
				`requests/s, ${CONNECTIONS} at once`, 'processor ms each', 'errors'], ...ways]),
		],
		goals: [goal('time that passing through adds, p50, times what nginx adds', 'at most', 3,
			added('passed') / added('proxy'))],
	};
}
