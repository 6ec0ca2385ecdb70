// Metrics, and that they are right for any way of hosting: one process, several behind a web server, one
// per request, and some that are killed.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { assertSentence, e2e, eventually, freePort, newThread, say } from './lib.mjs';
import { Program, makeKey } from './lib-api.mjs';
import { behindFcgid } from './lib-apache.mjs';
import { scrape, scrapeUntil } from './lib-metrics.mjs';
import { problem, remoteServer } from './lib-remote.mjs';
import { fromShell } from './lib-servers.mjs';
import { lock } from './lib-state.mjs';
import {
	functionCall, gate, modelServer, silence, status, stream, usage, words,
} from './lib-upstream.mjs';
import { bearer, json, rawUpstream } from './lib-v1.mjs';

const ON = { ASSISTANTS_METRICS: 'on' };
const REQUESTS = 'assistants_requests_total';
const RUNS = 'assistants_runs_total';
const ERRORS = 'assistants_upstream_errors_total';
const BUSY = 'assistants_workers_busy';
const WAITING = 'assistants_conversations_waiting';

// The samples of a counter as lines, without those of /metrics itself.
function lines({ samples }, name) {
	return samples.filter(([one, { route }]) => one === name && route !== '/metrics')
		.map(([, labels, value]) => `${Object.values(labels).join(' ')}: ${value}`).sort();
}

e2e('off, it is a path as unknown as any, and no file', async (bench) => {
	const server = await bench.listen();
	for (const method of ['GET', 'HEAD', 'POST', 'OPTIONS', 'DELETE']) {
		const [told, unknown] = await Promise.all(['/metrics', '/nothing']
			.map((uri) => server.request(method, uri)));
		assert.deepEqual([told.status, told.text], [404, unknown.text], method);
	}
	assert.deepEqual(fs.readdirSync(bench.state).filter((name) => /metrics/.test(name)), []);
});

e2e('requests, by method, route and status: no id, no invented word', async (bench) => {
	const server = await bench.listen({ env: ON });
	const program = new Program(server, await makeKey(bench, 'a'));
	const thread = await newThread(server);
	await say(server, thread, 'words');
	await say(server, 'thread_unknown0000000000000000', 'words');
	await server.request('BREW', '/threads');
	await server.request('HEAD', '/health');
	await server.request('GET', `/${thread}`);
	await server.request('GET', `/v1/threads/${thread}`);
	const { id } = await program.call('POST', '/threads');
	await program.call('POST', `/threads/${id}`, { metadata: { a: 'b' } });
	await program.refused(404, 'GET', `/threads/${id}/messages/msg_unknown00000000000000`);
	await program.refused(405, 'DELETE', `/threads/${id}/runs`);
	await program.refused(404, 'GET', `/${id}`);
	await server.request('GET', `/openai/threads/${id}`, { headers: bearer(program.key) });
	const expected = [
		'DELETE /v1/threads/{id}/runs 405: 1', 'GET (none) 404: 1',
		'GET /openai/threads/{id} 200: 1', 'GET /v1/threads/{id}/messages/{message} 404: 1',
		'GET /v1/{*} 401: 1', 'GET /v1/{*} 404: 1', 'HEAD /health 200: 1',
		'POST /threads 201: 1', 'POST /threads/{id}/messages 200: 1',
		'POST /threads/{id}/messages 404: 1', 'POST /v1/threads 200: 1',
		'POST /v1/threads/{id} 200: 1', 'other (none) 405: 1',
	];
	// A request is counted when its answer is being sent.
	const metrics = await scrapeUntil(server, 'all are counted',
		(now) => lines(now, REQUESTS).length === expected.length);
	assert.deepEqual(lines(metrics, REQUESTS), expected);
	assert.ok(![thread, id, 'BREW'].some((word) => metrics.text.includes(word)));
	assert.equal(metrics.sum('assistants_metrics_dropped_total'), 0);
	assertSentence(await server.request('POST', '/metrics'), 405);
});

e2e('the log has a line for each request, with the route and the bytes of the body',
	async (bench) => {
		const upstream = await rawUpstream(bench, json({ data: ['a model'] }));
		const server = await bench.listen({ env: upstream.env });
		const program = new Program(server, await makeKey(bench, 'a'));
		const thread = await newThread(server);
		const told = await server.request('GET', `/threads/${thread}/messages`);
		const passed = await program.request('GET', '/models');
		await program.call('GET', '/assistants');
		// An error of the model server's, in a stream.
		bench.expectLog(/run: /);
		const assistant = await program.call('POST', '/assistants',
			{ model: 'm', instructions: 'Be kind.' });
		const { id } = await program.call('POST', '/threads');
		const answer = await program.request('POST', `/threads/${id}/runs`,
			{ assistant_id: assistant.id, stream: true });
		assert.match(answer.text, /event: done/);
		await server.stop();
		const requests = bench.logEntries().filter(({ message }) => message === 'request');
		const shown = requests.map(({ method, route, bytes }) => [method, route, bytes]);
		assert.deepEqual(shown.slice(0, 4), [
			['POST', '/threads', thread.length],
			['GET', '/threads/{id}/messages', told.text.length],
			['GET', '/v1/models', passed.text.length],
			['GET', '/v1/assistants', requests[3].bytes],
		]);
		assert.deepEqual(shown.at(-1),
			['POST', '/v1/threads/{id}/runs', Buffer.byteLength(answer.text)]);
		assert.ok(requests.every((one) => one.request_id && one.ms >= 0 && one.time));
		assert.ok(requests.every((one) => one.delivered === undefined && one.level === 'info'));
	});

e2e('runs by their ends, their times, their tokens', async (bench) => {
	bench.expectLog(/run: .*401/, /waited for tools was cancelled/);
	const model = await modelServer(bench);
	const server = await bench.listen({ env: { ...model.env, ...ON } });
	const program = new Program(server, await makeKey(bench, 'a'));
	const assistant_id = (await program.call('POST', '/assistants', { model: 'm' })).id;
	const thread = await newThread(server);
	await say(server, thread, 'words');
	model.queue.push(status(401));
	assertSentence(await say(server, thread, 'words'), 502);
	// The run waits for a tool; the gateway cancels it.
	model.queue.push(functionCall('lookup'));
	assertSentence(await say(server, thread, 'words'), 502);

	const body = { assistant_id, additional_messages: [{ role: 'user', content: 'words' }] };
	const { id } = await program.call('POST', '/threads');
	const before = await scrape(server);
	assert.deepEqual(before.by(RUNS, 'status'), { completed: 1, failed: 1, cancelled: 1 });
	// One run is cancelled by POST …/cancel, one expires while it waits for a tool's output.
	model.queue.push(silence());
	const run = await program.call('POST', `/threads/${id}/runs`, body);
	await eventually('the model is asked', () => model.requests.length === 4);
	await program.call('POST', `/threads/${id}/runs/${run.id}/cancel`);
	assert.equal((await program.ended(run)).status, 'cancelled');
	await program.stream(`/threads/${id}/runs`, body);
	const metrics = await scrapeUntil(server, 'all are counted',
		(now) => now.by(RUNS, 'status').completed === 2);
	assert.deepEqual(metrics.by(RUNS, 'status'), { completed: 2, failed: 1, cancelled: 2 });
	assert.deepEqual(metrics.by('assistants_tokens_total', 'type'),
		{ prompt: 3 * usage.input_tokens, completion: 3 * usage.output_tokens });
	assert.equal(metrics.sum('assistants_run_first_word_seconds_count'), 2);
	// The run that waited for a tool was not being executed when it ended.
	assert.equal(metrics.sum('assistants_run_duration_seconds_count'), 4);
	assert.deepEqual(lines(metrics, ERRORS), ['model 401: 1']);
});

e2e('a run that a killed program leaves, and one that is overdue, are counted once',
	async (bench) => {
		const model = await modelServer(bench);
		const env = { ...model.env, ...ON };
		const first = await bench.listen({ env });
		const key = await makeKey(bench, 'a');
		let program = new Program(first, key);
		const assistant_id = (await program.call('POST', '/assistants', { model: 'm' })).id;
		const body = { assistant_id, thread: { messages: [{ role: 'user', content: 'a' }] } };
		model.queue.push(silence());
		const run = await program.call('POST', '/threads/runs', body);
		await eventually('the model is asked', () => model.requests.length === 1);
		await first.kill();

		const port = await freePort();
		const second = await bench.listen({ env: { ...env, ASSISTANTS_RUN_TIMEOUT: '2' }, port });
		program = new Program(second, key);
		assert.equal((await program.ended(run)).status, 'failed');
		model.queue.push(functionCall('lookup'));
		const waits = await program.call('POST', '/threads/runs', body);
		await eventually('it is overdue', async () => (await program.ended(waits)).status === 'expired');
		await program.ended(run);
		await program.ended(waits);
		const metrics = await scrape(second);
		assert.deepEqual(metrics.by(RUNS, 'status'), { failed: 1, expired: 1 });
		assert.equal(metrics.sum(BUSY), 1);
	});

e2e('failures of the model server, by kind', async (bench) => {
	bench.expectLog(/./);
	const model = await modelServer(bench);
	const env = { ...model.env, ...ON, ASSISTANTS_RUN_TIMEOUT: '2' };
	const server = await bench.listen({ env });
	const key = await makeKey(bench, 'a');
	const thread = await newThread(server);
	const cut = (response) => {
		response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
		setTimeout(() => response.destroy(), 50);
	};
	const tries = [status(500), status(403), stream([{ type: 'x.delta' }]), cut, silence()];
	for (const answer of tries) {
		model.otherwise = answer;
		assert.ok((await say(server, thread, 'words')).status >= 502);
	}
	model.otherwise = status(404);
	await server.request('GET', '/v1/models', { headers: bearer(key) });
	await scrapeUntil(server, 'all are counted', (now) => now.sum(ERRORS) === 6);
	const nobody = { ...env, OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}/v1` };
	await say(await fromShell(bench, nobody), thread, 'words');
	const metrics = await scrape(server);
	assert.deepEqual(lines(metrics, ERRORS), [
		'model 403: 1', 'model 404: 1', 'model 500: 1', 'model bad_answer: 1', 'model cut: 1',
		'model silent: 1', 'model unreachable: 1',
	]);
});

e2e('runs of a remote Assistants API', async (bench) => {
	bench.expectLog(/answered 500/, /waited for tools was cancelled/);
	const remote = await remoteServer(bench);
	const server = await bench.listen({ env: { ...remote.env, ...ON } });
	const thread = await newThread(server);
	await say(server, thread, 'words');
	remote.mode = 'stream';
	await say(server, thread, 'words');
	remote.refuse = (uri) => (uri.endsWith('/runs') ? problem(500, 'no') : undefined);
	assertSentence(await say(server, thread, 'words'), 502);
	remote.refuse = () => undefined;
	remote.nextRuns.push({ states: [{ status: 'requires_action' }], answers: [] });
	assertSentence(await say(server, thread, 'words'), 502);
	const metrics = await scrape(server);
	assert.deepEqual(metrics.by(RUNS, 'status'), { completed: 2, cancelled: 1 });
	assert.deepEqual(metrics.by('assistants_tokens_total', 'type'), { prompt: 22, completion: 14 });
	assert.equal(metrics.sum('assistants_run_first_word_seconds_count'), 2);
	assert.equal(metrics.sum('assistants_run_duration_seconds_count'), 2);
	assert.deepEqual(lines(metrics, ERRORS), ['assistants 500: 1']);
});

e2e('how long writers wait', async (bench) => {
	const server = await bench.listen({ env: ON });
	await newThread(server);
	const name = 'assistants_database_write_wait_seconds';
	const slow = (metrics) =>
		metrics.sum(`${name}_count`) - metrics.sum(`${name}_bucket`, { le: '0.1' });
	const before = await scrape(server);
	const unlock = await lock(bench);
	const waiting = newThread(server);
	await sleep(300);
	await unlock();
	await waiting;
	const after = await scrape(server);
	assert.equal(slow(after) - slow(before), 1);
	assert.ok(after.sum(`${name}_sum`) - before.sum(`${name}_sum`) > 0.1);
});

e2e('several processes behind Apache, and then one a request, count in one file', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	const env = { ...model.env, ...ON };
	const site = await behindFcgid(bench, env);
	const at_once = 6;
	const threads = [];
	for (let i = 0; i < at_once; i++) threads.push(await newThread(site));
	model.otherwise = words('hello', held.opened);
	const waiting = threads.map((thread) => say(site, thread, 'words'));
	await eventually('the model is asked', () => model.requests.length === at_once);
	assert.ok(site.started().length >= at_once, 'these are not several processes');
	// The waiting ones, and the one that asks for the metrics.
	const busy = await scrape(site);
	assert.deepEqual([busy.sum(BUSY), busy.sum(WAITING)], [at_once + 1, at_once]);
	held.open();
	for (const answer of await Promise.all(waiting)) assert.equal(answer.status, 200);
	const idle = await scrapeUntil(site, 'nobody waits',
		(now) => now.sum(BUSY) === 1 && now.sum(WAITING) === 0);
	const created = idle.sum(REQUESTS, { method: 'POST', route: '/threads', status: '201' });
	assert.equal(created, at_once);

	const cgi = await fromShell(bench, env);
	await Promise.all(threads.map((thread) => say(cgi, thread, 'words')));
	await Promise.all(Array.from({ length: 5 }, () => cgi.request('GET', '/nothing')));
	const metrics = await scrape(cgi);
	assert.equal(metrics.sum(REQUESTS, { route: '/threads/{id}/messages', status: '200' }),
		2 * at_once);
	assert.equal(metrics.sum(REQUESTS, { route: '(none)', status: '404' }), 5);
	assert.deepEqual(metrics.by(RUNS, 'status'), { completed: 2 * at_once });
	assert.equal(metrics.sum('assistants_run_duration_seconds_count'), 2 * at_once);
	assert.equal(metrics.sum(BUSY), 1);
	// Each process reports what all have counted.
	const same = await scrape(site);
	assert.equal(same.sum(RUNS), metrics.sum(RUNS));
});

e2e('a killed process no longer counts as busy', async (bench) => {
	const model = await modelServer(bench);
	model.otherwise = silence();
	const env = { ...model.env, ...ON };
	const first = await bench.listen({ env });
	const second = await bench.listen({ env, port: await freePort() });
	const thread = await newThread(first);
	say(first, thread, 'words').catch(() => {});
	await eventually('the model is asked', () => model.requests.length === 1);
	assert.equal((await scrape(second)).sum(BUSY), 2);
	await first.kill();
	const metrics = await scrape(second);
	assert.deepEqual([metrics.sum(BUSY), metrics.sum(WAITING)], [1, 0]);
});

e2e('where there can be no file everything else works', async (bench) => {
	bench.expectLog(/^nothing is counted, because .*metrics cannot be used: Is a directory/);
	fs.mkdirSync(path.join(bench.state, 'metrics'), { recursive: true, mode: 0o700 });
	const server = await bench.listen({ env: ON });
	await say(server, await newThread(server), 'words');
	assertSentence(await server.request('GET', '/metrics'), 503);
});
