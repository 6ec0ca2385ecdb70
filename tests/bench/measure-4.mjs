// Conversations that wait for the model, thousands in one process; and more clients than workers.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '../e2e/lib.mjs';
import { QUICK, ROUNDS, cpu, each, goal, median, processorMs, resident, short, slice, table, timed }
	from './lib-bench.mjs';
import { QUESTION, WORDS, heldServer, programSite, question, responseStream, tryOut, withPlace }
	from './lib-sites.mjs';

export const title = 'Conversations in flight in one process';

const STEPS = QUICK ? [250, 500] : [500, 1000, 2000, 3000, 4000, 5000];
const MOST = STEPS.at(-1);
// The time after which threads that a new conversation woke are asleep again.
const SETTLE_MS = 300;
// Longer than an idle worker lives.
const QUIET_S = QUICK ? 1 : 35;
const WORKERS = 100;
const REFUSED = 400;
const SAMPLE_MS = 20;

/** POST on a new connection; resolves to {status, text}; status 0: no answer. */
async function post(url, path, body) {
	const request = http.request(`${url}${path}`, { method: 'POST', agent: false,
		headers: { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) } });
	request.end(body);
	try {
		const [response] = await once(request, 'response');
		let text = '';
		for await (const piece of response) text += piece;
		return { status: response.statusCode, text };
	} catch (error) {
		return { status: 0, text: error.message };
	}
}

const good = ({ status, text }) => status === 200 && text.trim() === WORDS;

/** A model server that begins to answer, and goes on when told to, and the program using it. */
async function held(place, workers) {
	const events = responseStream();
	const model = await heldServer(place, events.slice(0, 2), events.slice(2), -1);
	// The program logs the descriptors that it lacks here; the errors are in the table.
	const site = await programSite(place, model, { quiet: false,
		env: { ASSISTANTS_SYNC: 'normal', ASSISTANTS_WORKERS: String(workers) } });
	await place.open();
	const first = tryOut(site);
	await eventually('the first conversation waits', async () => await model.held() === 1);
	await model.release();
	await first;
	return { model, site, pid: site.pids[0] };
}

/** Make more and more clients wait, look at the process after each of `steps`, then let all go. */
async function crowd(model, steps, ask, look) {
	const answers = [], points = [];
	let failed = 0;
	for (const step of steps) {
		while (answers.length < step) {
			answers.push(ask(answers.length).then((answer) => {
				if (answer.status !== 200) failed += 1;
				return answer;
			}));
		}
		await eventually(`${step} wait`, async () => await model.held() + failed >= step);
		await sleep(SETTLE_MS);
		points.push({ held: await model.held(), ...look() });
	}
	let all;
	const drain_ms = await timed(async () => {
		await model.release();
		all = await Promise.all(answers);
	});
	return { all, points, drain_ms };
}

const threads = (pid) => Number(/^Threads:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`))[1]);

function conversations(last) {
	return withPlace(async (place) => {
		const { model, site, pid } = await held(place, MOST + 10);
		const ids = fs.readFileSync(site.fresh(MOST), 'utf8').trim().split('\n');
		site.stored();
		const idle_kib = resident(pid), before_s = cpu(site.pids);
		const through = await crowd(model, STEPS,
			(i) => post(site.url, `/threads/${ids[i]}/messages`, QUESTION),
			() => ({ kib: resident(pid) - idle_kib,
				descriptors: fs.readdirSync(`/proc/${pid}/fd`).length }));
		const cpu_s = cpu(site.pids) - before_s;
		const answered = through.all.filter(good).length;
		assert.equal(site.stored(), answered);
		// The cost of the clients and the model server alone.
		const direct = await crowd(model, [MOST],
			() => post(model.url, '/v1/responses', question('').BODY), () => {});
		if (last) await sleep(1000 * QUIET_S);
		return { idle_kib, points: through.points, errors: MOST - answered, cpu_s,
			drain_ms: through.drain_ms, direct_ms: direct.drain_ms,
			after_kib: resident(pid), after_threads: threads(pid) };
	});
}

/** More clients while all workers but two wait: they are refused at once. And /health meanwhile. */
function refusals() {
	return withPlace(async (place) => {
		const { model, site } = await held(place, WORKERS);
		const ids = fs.readFileSync(site.fresh(WORKERS - 1), 'utf8').trim().split('\n');
		const ask = (id) => post(site.url, `/threads/${id}/messages`, QUESTION);
		const answers = ids.slice(1).map(ask);
		await eventually('all wait', async () => await model.held() === answers.length);
		const env = { ASKED_PATH: `/threads/${ids[0]}/messages`, BODY: QUESTION };
		let over = false;
		const load = slice(site, { connections: REFUSED, env })
			.finally(() => { over = true; });
		const health_ms = [];
		while (!over) {
			health_ms.push(await timed(async () => (await fetch(`${site.url}/health`)).text()));
			await sleep(SAMPLE_MS);
		}
		const found = await load;
		assert.equal(found.errors, found.requests, 'all are refused');
		assert.equal((await ask(ids[0])).status, 503);
		await model.release();
		assert.ok((await Promise.all(answers)).every(good), 'those who wait are answered');
		return { ...found, health_ms };
	});
}

export async function run() {
	const rounds = [], refused = [];
	while (rounds.length < ROUNDS) rounds.push(await conversations(rounds.length + 1 === ROUNDS));
	while (refused.length < ROUNDS) refused.push(await refusals());
	return { raw: { rounds, refused }, ...report(rounds, refused) };
}

function report(rounds, refused) {
	const last = rounds.at(-1);
	const at = (i, figure) => median(rounds.map(({ points }) => points[i][figure]));
	const most = ({ points }) => points.at(-1);
	const beyond_kib = (one) => most(one).kib / most(one).held;
	const failed = rounds.reduce((sum, one) => sum + one.errors, 0);
	return {
		tables: [
			table([[`${MOST} conversations waiting`, ''],
				[`errors, of ${MOST * ROUNDS}`, failed],
				['resident memory of the idle process, MiB',
					each(rounds, (one) => one.idle_kib / 1024)],
				['for each that waits, beyond that, KiB', each(rounds, beyond_kib)],
				['descriptors of the process', each(rounds, (one) => most(one).descriptors)],
				['until all are answered when the model goes on, ms',
					each(rounds, (one) => one.drain_ms)],
				['the same without nginx and the program, ms', each(rounds, (one) => one.direct_ms)],
				['processor ms of the program each', processorMs(rounds, () => MOST)],
				[`resident memory after ${QUIET_S} s of quiet, MiB`, short(last.after_kib / 1024)],
				['threads then', last.after_threads]]),
			table([[`${REFUSED} clients more while all of ${WORKERS} workers wait`, ''],
				['refused, 503, a second', each(refused, (one) => one.rate)],
				['until a 503, p50 ms', each(refused, (one) => one.p50_ms)],
				['until a 503, p99 ms', each(refused, (one) => one.p99_ms)],
				['processor ms for a 503', processorMs(refused)],
				['`/health` meanwhile, p50 ms', each(refused, (one) => median(one.health_ms))],
				['`/health` meanwhile, the longest, ms',
					each(refused, (one) => Math.max(...one.health_ms))]]),
		],
		goals: [
			goal(`conversations that failed, of ${MOST * ROUNDS}`, 'at most', 0, failed),
			goal('resident memory for each that waits', 'at most', 64, median(rounds.map(beyond_kib)),
				' KiB'),
		],
		plots: [{
			name: 'memory', title: 'Memory against conversations in flight',
			x: 'conversations waiting', y: 'MiB beyond the idle process', lines: [
				{ title: 'assistants.fcgi', points: [[0, 0], ...STEPS.map((_, i) =>
					[at(i, 'held'), at(i, 'kib') / 1024])] },
				{ title: 'goal: 64 KiB each', points: [[0, 0], [MOST, MOST * 64 / 1024]] },
			],
		}],
	};
}
