// /v1: runs by stream and by poll, and what is passed through to the model server.

import assert from 'node:assert/strict';
import { httpRequest } from '../e2e/lib.mjs';
import { SLICE_S, byTurns, goal, median, short, slice, spread, table } from './lib-bench.mjs';
import { QUESTION, apiSite, fixedServer, proxySite, withPlace } from './lib-sites.mjs';

export const title = '`/v1`: runs, and what is passed through';

const CONNECTIONS = 32;
const THREADS = 4000 * SLICE_S;
const KINDS = { stream: 'by stream', poll: 'by poll, without a pause' };
const WAYS = { direct: 'the model server itself', proxy: 'nginx as the proxy', passed: 'nginx and assistants.fcgi' };

const authorization = (site) => `Bearer ${site.key}`;

async function newAssistant(site) {
	const { status, json, text } = await httpRequest(Number(new URL(site.url).port), 'POST', '/v1/assistants', {
		headers: { authorization: authorization(site), 'content-type': 'application/json' },
		body: JSON.stringify({ model: 'm' }),
	});
	assert.equal(status, 200, text);
	return json.id;
}

/** A slice of runs, all of which must have been stored. */
async function runs(site, assistant_id, kind) {
	const body = { assistant_id, stream: kind === 'stream' ? true : undefined,
		additional_messages: [{ role: 'user', content: QUESTION }] };
	const env = { AUTHORIZATION: authorization(site), BODY: JSON.stringify(body), TYPE: 'application/json',
		THREADS: site.fresh(THREADS), ASKED_PATH: '/v1/threads/ID/runs', CONNECTIONS: String(CONNECTIONS) };
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
		const sites = { direct: fixed, proxy: await proxySite(place, fixed), passed: site };
		await place.open();
		const assistant_id = await newAssistant(site);
		const made = await byTurns(Object.keys(KINDS), (kind) => runs(site, assistant_id, kind));
		const env = { AUTHORIZATION: authorization(site), ASKED_PATH: '/v1/chat/completions',
			TYPE: 'application/json',
			BODY: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: QUESTION }] }) };
		const passed = {};
		for (const connections of [1, CONNECTIONS]) {
			passed[connections] = await byTurns(Object.keys(WAYS),
				(name) => slice(sites[name], { connections, exact: connections === 1, env }));
		}
		return { raw: { made, passed }, ...report(made, passed) };
	});
}

function report(made, passed) {
	const each = (found, figure) => spread(found.map(figure));
	const rows = Object.entries(KINDS).map(([kind, shown]) => [shown,
		each(made[kind], (one) => one.count / one.duration_s),
		each(made[kind], (one) => one.requests / one.count),
		short(median(made[kind].map((one) => 1000 * one.cpu_s / one.count))),
		short(Math.max(...made[kind].map((one) => one.peak_mib))),
		made[kind].reduce((sum, one) => sum + one.errors, 0)]);
	const ways = Object.entries(WAYS).map(([name, shown]) => [shown,
		each(passed[1][name], (one) => one.p50_ms), each(passed[1][name], (one) => one.p99_ms),
		each(passed[CONNECTIONS][name], (one) => one.rate),
		name === 'proxy' ? '–'
			: short(median(passed[CONNECTIONS][name].map((one) => 1000 * one.cpu_s / one.requests))),
		[1, CONNECTIONS].flatMap((at) => passed[at][name]).reduce((sum, one) => sum + one.errors, 0)]);
	const added = (name) => median(passed[1][name].map((one, i) => one.p50_ms - passed[1].direct[i].p50_ms));
	return {
		tables: [table([[`${CONNECTIONS} at once`, 'runs/s', 'requests a run', 'processor ms each', 'memory MiB',
			'errors'], ...rows]),
		table([['passed through', 'p50 ms, one after the other', 'p99 ms', `requests/s, ${CONNECTIONS} at once`,
			'processor ms each', 'errors'], ...ways])],
		goals: [goal('time that passing through adds, p50, times what nginx adds', 'at most', 3,
			added('passed') / added('proxy'))],
	};
}
