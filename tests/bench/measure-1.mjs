// A message answered and stored, embedded: how many a second beside the peers, and what is added to the
// model server's time.

import assert from 'node:assert/strict';
import { LOAD, QUICK, SLICE_S, byTurns, each, goal, loadCells, median, short, slice, table, wrk }
	from './lib-bench.mjs';
import { WORDS, apiSite, fixedServer, helloSite, messages, nodeSite, phpSite, programSite, proxySite,
	question, tryOut, withPlace } from './lib-sites.mjs';

export const title = 'A message answered, embedded, stored';

const AT_ONCE = [1, 32, 256];
// Only for the plot.
const BETWEEN = QUICK ? [] : [8, 96];
const PLOTTED = ['normal', 'php', 'node'];
// For the first round: more threads than can be used in a second.
const THREADS_FIRST = 8000;
const NAMES = {
	normal: 'assistants.fcgi, `normal`', full: 'assistants.fcgi, `full`',
	door: 'assistants.fcgi, `normal`, door as shipped', php: 'PHP-FPM',
	node: 'Node worker, and its Assistants API', hello: 'limit: libfcgi hello',
	proxy: 'limit: nginx to the model server',
};

async function build(place, fixed) {
	const normal = { ASSISTANTS_SYNC: 'normal' };
	const door = { ...normal, ASSISTANTS_RATE: '30', ASSISTANTS_DAILY_TOKENS: '2000000',
		ASSISTANTS_TRUSTED_PROXIES: '127.0.0.1' };
	const sites = {
		normal: await programSite(place, fixed, { env: normal }),
		full: await programSite(place, fixed),
		door: await programSite(place, fixed, { env: door }),
		php: await phpSite(place, fixed),
		hello: await helloSite(place),
		proxy: await proxySite(place, fixed),
	};
	const api = await apiSite(place, fixed, normal);
	sites.node = await nodeSite(place, api);
	await place.open();
	for (const name of ['normal', 'full', 'door', 'php', 'node']) await tryOut(sites[name]);
	return sites;
}

/** A slice of messages, each in a new thread; all must have been stored. */
async function load(name, site, connections, rates, { exact, ...more } = {}) {
	if (name === 'proxy') {
		const env = question('/v1/responses');
		return slice(site, { connections, env });
	}
	const enough = Math.ceil(SLICE_S * Math.max(THREADS_FIRST, 1.5 * (rates[name] ?? 0)));
	site.stored?.();
	const env = messages(site, enough, name === 'door' ? { CLIENTS: 'many', ...more } : more);
	const found = await slice(site, { connections, exact, env });
	if (site.stored) {
		const stored = site.stored();
		assert.ok(stored >= found.requests - found.errors, `${name} stored ${stored} answers`);
		if (found.requests > enough) console.warn(`bench: ${name} had to use threads again`);
	}
	rates[name] = Math.max(rates[name] ?? 0, found.rate);
	return found;
}

/** For sequential requests: the time added between the client and the model server, in ms. */
const added = (through, direct) => Object.fromEntries(['p50_ms', 'p95_ms', 'p99_ms'].map((name) =>
	[name, median(through.map((one, i) => one[name] - direct[i][name]))]));

async function latencies(sites, fixed, rates, rate) {
	const connections = 32;
	const pause = { PAUSE_MS: String(Math.round(1000 * connections / rate)) };
	const direct = (at, more) => wrk(fixed.url, { connections: at, exact: true,
		env: { ...question('/v1/responses'), ...more } });
	const through = (at, more) => load('normal', sites.normal, at, rates,
		{ exact: true, ANSWER: WORDS, ...more });
	const ways = {
		direct: () => direct(1), normal: () => through(1),
		'direct at half': () => direct(connections, pause),
		'normal at half': () => through(connections, pause),
	};
	const results = await byTurns(Object.keys(ways), (name) => ways[name]());
	return {
		results,
		alone: added(results.normal, results.direct),
		half: added(results['normal at half'], results['direct at half']),
		half_rate: median(results['normal at half'].map((one) => one.rate)),
	};
}

export function run() {
	return withPlace(async (place) => {
		const fixed = await fixedServer(place);
		const sites = await build(place, fixed);
		const rates = {}, loads = {};
		for (const connections of [...AT_ONCE, ...BETWEEN]) {
			const names = Object.keys(NAMES).filter((name) => BETWEEN.includes(connections)
				? PLOTTED.includes(name) : name !== 'door' || connections === 32);
			loads[connections] = await byTurns(names,
				(name) => load(name, sites[name], connections, rates));
		}
		const peak = median(loads[32].normal.map((one) => one.rate));
		const latency = await latencies(sites, fixed, rates, peak / 2);
		return { raw: { loads, latency }, ...report(loads, latency) };
	});
}

const rate = (loads, name, at = 32) => median(loads[at][name].map((one) => one.rate));

function report(loads, { alone, half, half_rate }) {
	const rows = AT_ONCE.flatMap((at) => Object.keys(NAMES).filter((name) => loads[at][name])
		.map((name) => [at, NAMES[name], each(loads[at][name], (one) => one.rate),
			...loadCells(loads[at][name])]));
	const more = [['added to the model server\'s own time, ms', 'p50', 'p95', 'p99'],
		['one after the other', ...Object.values(alone).map(short)],
		[`at half the peak rate, ${short(half_rate)}/s`, ...Object.values(half).map(short)]];
	return {
		tables: [table([['at once', 'site', 'messages/s', ...LOAD], ...rows]), table(more)],
		goals: [
			goal('messages/s at 32, times the Node worker\'s', 'at least', 20,
				rate(loads, 'normal') / rate(loads, 'node')),
			goal('messages/s at 32, times PHP-FPM\'s', 'at least', 5,
				rate(loads, 'normal') / rate(loads, 'php')),
			goal('`normal` at 32, times `full`', 'at most', 2,
				rate(loads, 'normal') / rate(loads, 'full')),
			goal('added, p50, one after the other', 'at most', 0.44, alone.p50_ms, ' ms'),
			goal('added, p99, one after the other', 'at most', 0.94, alone.p99_ms, ' ms'),
			goal('added, p50, at half the peak rate', 'at most', 0.44, half.p50_ms, ' ms'),
			goal('added, p99, at half the peak rate', 'at most', 0.94, half.p99_ms, ' ms'),
		],
		plots: [{
			name: 'latency', title: 'Latency against load', x: 'messages/s', y: 'ms',
			log: 'xy', lines: PLOTTED.flatMap((name, i) => ['p50', 'p99'].map((part) => ({
				title: `${NAMES[name].replaceAll('`', '')}, ${part}`, color: i + 1, dashed: part === 'p99',
				points: Object.keys(loads).map(Number).sort((a, b) => a - b).map((at) => [
					rate(loads, name, at),
					median(loads[at][name].map((one) => one[`${part}_ms`]))]),
			}))),
		}],
	};
}
