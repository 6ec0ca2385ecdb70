// The gateway under load, behind nginx: conversations that all wait for the model at once, and more
// clients than workers. Clients and model server are this one process; what they take by themselves
// is measured, too.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { httpRequest, newThread, say } from '../e2e/lib.mjs';
import { behindNginx } from '../e2e/lib-servers.mjs';
import { modelServer, words } from '../e2e/lib-upstream.mjs';
import { quantile, spread, table, timed, usage, withBench } from './lib-bench.mjs';

const ROUNDS = 5;
const CLIENTS = 500;
const MODEL_MS = 2000;
const QUIET_MS = 35_000;
const SAMPLE_MS = 20;

/** A model server that answers each request after a while. */
async function slowModel(bench) {
	const model = await modelServer(bench);
	model.otherwise = async (response) => {
		await sleep(MODEL_MS);
		await words('hello')(response);
	};
	return model;
}

/** The program behind nginx with as many threads as there are clients, made a few at a time. */
async function site(bench, workers) {
	const model = await slowModel(bench);
	const served = await behindNginx(bench, { ...model.env, ASSISTANTS_WORKERS: workers });
	const threads = [];
	while (threads.length < CLIENTS) {
		const some = Array.from({ length: 4 }, () => newThread(served));
		threads.push(...await Promise.all(some));
	}
	// The first conversation makes the assistant.
	assert.equal((await say(served, threads[0], 'words')).status, 200);
	return { ...served, model, threads };
}

/** Call `probe` again and again while `work` goes on. */
async function meanwhile(work, probe) {
	let done = false;
	const ended = work().finally(() => { done = true; });
	while (!done) {
		await probe();
		await sleep(SAMPLE_MS);
	}
	return ended;
}

/** All clients at once; resolves to {status, ms} of each. */
function crowd({ threads, ...served }) {
	return Promise.all(threads.map(async (thread) => {
		let status;
		const ms = await timed(async () => {
			({ status } = await say(served, thread, 'words'));
		});
		return { status, ms };
	}));
}

function conversations() {
	return withBench(async (bench) => {
		const served = await site(bench, '600');
		const { pid } = served.child;
		const before = usage(pid);
		let peak_kib = 0;
		const ms = await timed(() => meanwhile(async () => {
			const answers = await crowd(served);
			assert.ok(answers.every(({ status }) => status === 200), 'all are answered');
		}, () => { peak_kib = Math.max(peak_kib, usage(pid).resident_kib); }));
		const after = usage(pid);
		await sleep(QUIET_MS);
		const quiet = usage(pid);
		return {
			ms, peak_kib, before_kib: before.resident_kib, cpu_s: after.cpu_s - before.cpu_s,
			each_kib: (peak_kib - before.resident_kib) / CLIENTS,
			quiet_kib: quiet.resident_kib, quiet_threads: quiet.threads,
		};
	});
}

function refusals() {
	return withBench(async (bench) => {
		const served = await site(bench, '100');
		const before = usage(served.child.pid);
		const health = [];
		const answers = await meanwhile(() => crowd(served), async () => {
			health.push(await timed(() => served.request('GET', '/health')));
		});
		const times = (wanted) => answers
			.filter(({ status }) => status === wanted).map(({ ms }) => ms);
		assert.equal(times(200).length, 98);
		assert.equal(times(503).length, CLIENTS - 98);
		return {
			refused_ms: times(503), answered_ms: times(200), health_ms: health,
			cpu_s: usage(served.child.pid).cpu_s - before.cpu_s,
		};
	});
}

/** The clients and the model server without nginx and the program. */
function harness() {
	return withBench(async (bench) => {
		const { port } = new URL((await slowModel(bench)).url);
		const ask = () => httpRequest(port, 'POST', '/v1/responses', { body: '{}' });
		return { ms: await timed(() => Promise.all(Array.from({ length: CLIENTS }, ask))) };
	});
}

async function rounds(run) {
	const results = [];
	while (results.length < ROUNDS) results.push(await run());
	return results;
}

/** Resolves to `report`, in Markdown, and `raw`, all figures. */
export async function load() {
	const raw = {
		harness: await rounds(harness),
		refusals: await rounds(refusals),
		conversations: await rounds(conversations),
	};
	const each = (name, figure, digits) => spread(raw[name].map(figure), digits);
	const mib = (name) => each('conversations', (round) => round[name] / 1024, 1);
	const waiting = [
		[`${CLIENTS} conversations at once, 600 workers`, `median of ${ROUNDS} rounds (all)`],
		[`until all are answered, ms; the model takes ${MODEL_MS}`,
			each('conversations', ({ ms }) => ms)],
		['the same without nginx and the program, ms', each('harness', ({ ms }) => ms)],
		['processor time of the program, s', each('conversations', ({ cpu_s }) => cpu_s, 2)],
		['resident memory before, MiB', mib('before_kib')],
		['resident memory at the peak, MiB', mib('peak_kib')],
		['for each conversation, KiB', each('conversations', ({ each_kib }) => each_kib, 1)],
		[`resident memory after ${QUIET_MS / 1000} s of quiet, MiB`, mib('quiet_kib')],
		['threads then', each('conversations', ({ quiet_threads }) => quiet_threads)],
	];
	const at = (name, part) => each('refusals', (round) => quantile(round[name], part), 1);
	const refused = [
		[`${CLIENTS} clients at once, 100 workers: 98 wait, ${CLIENTS - 98} get 503`,
			'p50', 'p99', 'max'],
		...[['until the 503, ms', 'refused_ms'], ['/health meanwhile, ms', 'health_ms'],
			[`until the answer, ms; the model takes ${MODEL_MS}`, 'answered_ms']]
			.map(([title, name]) => [title, at(name, 0.5), at(name, 0.99), at(name, 1)]),
		['processor time of the program, s', each('refusals', ({ cpu_s }) => cpu_s, 2), '', ''],
	];
	return { raw, report: `${table(waiting)}\n${table(refused)}` };
}
