// The day's tokens: what is reserved before the model is asked, what a question finally costs, and that no
// way of asking spends more: leaving, dying, or asking all at once.

import assert from 'node:assert/strict';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
	assertSentence, e2e, eventually, freePort, newThread, say, transcript, within,
} from './lib.mjs';
import { behindNginx, fromShell } from './lib-servers.mjs';
import {
	functionCall, gate, messageEvents, modelServer, silence, status, stream, usage,
} from './lib-upstream.mjs';
import { assertError, bearer, json, makeKey, rawUpstream } from './lib-v1.mjs';

const PART = { type: 'output_text', text: 'hello', annotations: [] };

/** The end of a response whose usage is this many tokens. */
const costing = (tokens) => ({
	status: 'completed', usage: { ...usage, input_tokens: 0, output_tokens: tokens },
});

/** An answer that costs this many tokens; `until` delays it. */
const costs = (tokens, until) => stream(messageEvents(PART, costing(tokens)), until);

/** The limit in a request; undefined: none. */
const limitOf = ({ json: asked }) => asked.max_output_tokens;

/** Use the whole limit of each request, but at most `most`, and add up the cost. */
function ledger(model, most, until) {
	const bill = { tokens: 0, count: 0 };
	model.otherwise = (response, request) => {
		const answer = Math.min(most, limitOf(request) ?? most);
		bill.tokens += answer + Math.ceil(JSON.stringify(request.json.input).length / 4);
		bill.count += 1;
		return costs(answer, until)(response, request);
	};
	return bill;
}

function assertEmpty(answer, waitMax) {
	assertSentence(answer, 429);
	assert.match(answer.text, /used up its tokens/);
	const seconds = Number(answer.headers['retry-after']);
	assert.ok(seconds >= 1 && seconds <= waitMax, `Retry-After: ${seconds}`);
	return seconds;
}

const each = [['FastCGI', (bench, env) => bench.listen({ env })], ['CGI', fromShell]];

for (const [way, open] of each) {
	e2e(`${way}: the day's tokens are counted as the model server reports them`, async (bench) => {
		const model = await modelServer(bench);
		const site = await open(bench, { ...model.env, ASSISTANTS_DAILY_TOKENS: '100000' });
		model.otherwise = costs(33_000);
		for (const count of [1, 2, 3]) {
			assert.equal((await say(site, await newThread(site), 'words')).status, 200);
			assert.equal(model.requests.length, count);
		}
		const thread = await newThread(site);
		assertEmpty(await say(site, thread, 'words'), 900);
		assert.equal(model.requests.length, 3);
		assert.deepEqual(await transcript(site, thread), []);
	});
}

e2e('the rest of the budget is the limit that the model is sent', async (bench) => {
	const model = await modelServer(bench);
	const env = { ...model.env, ASSISTANTS_DAILY_TOKENS: '30000' };
	const site = await bench.listen({ env });
	model.otherwise = costs(20_000);
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
	assert.equal(limitOf(model.requests[0]), undefined);
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
	const limit = limitOf(model.requests[1]);
	assert.ok(limit > 9_900 && limit < 10_010, `${limit}`);
	// The model ignored the limit: the budget is overdrawn, and refills from there.
	const wait = assertEmpty(await say(site, await newThread(site), 'words'), 86_400);
	assert.ok(wait > 0.39 * 86_400, `${wait}`);
	await site.stop();
	const again = await bench.listen({ env });
	assertEmpty(await say(again, await newThread(again), 'words'), 86_400);
});

e2e('a failed question costs nothing', async (bench) => {
	bench.expectLog(/answered 500/);
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000' } });
	for (let i = 0; i < 5; i++) {
		model.queue.push(status(500));
		assert.equal((await say(site, await newThread(site), 'words')).status, 502);
		assert.equal((await say(site, `thread_${'0'.repeat(24)}`, 'words')).status, 404);
	}
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
	assert.ok(limitOf(model.requests.at(-1)) > 9_900);
});

for (const processes of [1, 4]) {
	e2e(`a wave of 100 messages to ${processes} processes spends a day's tokens, and no more`,
		async (bench) => {
			const model = await modelServer(bench);
			const env = { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000', ASSISTANTS_RATE: 'off' };
			const sites = [];
			for (let i = 0; i < processes; i++) {
				sites.push(await bench.listen({ env, port: await freePort() }));
			}
			const bill = ledger(model, 5_000);
			const threads = await Promise.all(Array.from({ length: 100 },
				(_, i) => newThread(sites[i % processes])));
			const answers = await Promise.all(threads.map((thread, i) =>
				say(sites[i % processes], thread, 'words')));
			for (const answer of answers) {
				if (answer.status !== 200) assertEmpty(answer, 86_400);
			}
			assert.ok(answers.some((answer) => answer.status === 200));
			assert.ok(bill.tokens <= 15_000, `${bill.tokens} tokens`);
			// A refused message is not stored.
			const refused = answers.findIndex((answer) => answer.status === 429);
			assert.deepEqual(await transcript(sites[0], threads[refused]), []);
		});
}

e2e('CGI: a wave of messages spends a day\'s tokens, and no more', async (bench) => {
	const model = await modelServer(bench);
	const site = await fromShell(bench, { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000' });
	const threads = [];
	for (let i = 0; i < 20; i++) threads.push(await newThread(site));
	const bill = ledger(model, 5_000);
	await Promise.all(threads.map((thread, i) =>
		say(site, thread, 'words', i % 2 ? { prefer: 'respond-async' } : {})));
	await eventually('all is over', async () => {
		const before = bill.count;
		await sleep(500);
		return bill.count === before;
	});
	assert.ok(bill.count > 0 && bill.tokens <= 15_000, `${bill.tokens} tokens`);
});

e2e('while other questions reserve the missing tokens, Retry-After is short', async (bench) => {
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000' } });
	const held = gate();
	model.otherwise = costs(100, held.opened);
	const first = say(site, await newThread(site), 'words');
	await eventually('the first is asked', () => model.requests.length === 1);
	assertEmpty(await say(site, await newThread(site), 'words'), 10);
	held.open();
	assert.equal((await first).status, 200);
	assert.equal((await say(site, await newThread(site), 'words')).status, 200);
});

/** Ask for a stream, and leave after `ms`. */
async function leaveAfter(site, thread, ms) {
	const request = http.request({ port: site.port, method: 'POST', agent: false,
		path: `/threads/${thread}/messages`, headers: { 'content-type': 'text/plain' } });
	request.on('error', () => {});
	request.end('think hard');
	await sleep(ms);
	request.destroy();
}

e2e('a client that leaves before the first word pays by the second', async (bench) => {
	const model = await modelServer(bench);
	const site = await behindNginx(bench, { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000' });
	model.queue.push(silence());
	await leaveAfter(site, await newThread(site), 5_000);
	await within(model.requests[0].left, 'the model server is left');
	const thread = await newThread(site);
	await eventually('it is settled', async () => (await say(site, thread, 'words')).status === 200);
	const limit = limitOf(model.requests.at(-1));
	// 200 tokens a second, plus the text.
	assert.ok(limit > 10_000 - 8 * 200 - 100 && limit <= 10_000 - 4 * 200, `${limit}`);
});

e2e('a killed program\'s reservations are settled by the next one', async (bench) => {
	const model = await modelServer(bench);
	const env = { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000' };
	const site = await bench.listen({ env });
	model.queue.push(silence());
	const lost = say(site, await newThread(site), 'words').catch(() => {});
	await eventually('the model is asked', () => model.requests.length === 1);
	await sleep(3_000);
	await site.kill();
	await lost;
	const next = await bench.listen({ env });
	const answer = await say(next, await newThread(next), 'words');
	assert.equal(answer.status, 200, answer.text);
	const limit = limitOf(model.requests.at(-1));
	assert.ok(limit > 5_000 && limit <= 10_000 - 2 * 200, `${limit}`);
});

e2e('reservations of a killed process do not block other processes', async (bench) => {
	const model = await modelServer(bench);
	const env = { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000' };
	const one = await bench.listen({ env, name: 'one' });
	const two = await bench.listen({ env, name: 'two' });
	assert.equal((await say(two, await newThread(two), 'words')).status, 200);
	model.queue.push(silence());
	const lost = say(one, await newThread(one), 'words').catch(() => {});
	await eventually('the model is asked', () => model.requests.length === 2);
	assertEmpty(await say(two, await newThread(two), 'words'), 10);
	await one.kill();
	await lost;
	assert.equal((await say(two, await newThread(two), 'words')).status, 200);
	const shell = await fromShell(bench, env);
	assert.equal((await say(shell, await newThread(shell), 'words')).status, 200);
});

e2e('the definition may limit the answer, and then no more is reserved', async (bench) => {
	const definition = bench.file('assistant.json', JSON.stringify({
		name: 'brief', model: 'm', max_completion_tokens: 3_000 }));
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000',
		ASSISTANTS_DEFINITION: definition } });
	const held = gate();
	model.otherwise = costs(100, held.opened);
	const asked = [];
	for (let i = 0; i < 3; i++) asked.push(say(site, await newThread(site), 'words'));
	await eventually('three are asked', () => model.requests.length === 3);
	assert.deepEqual(model.requests.map(limitOf), [3_000, 3_000, 3_000]);
	assertEmpty(await say(site, await newThread(site), 'words'), 10);
	held.open();
	for (const { status: told } of await Promise.all(asked)) assert.equal(told, 200);
	const bad = bench.file('bad.json', JSON.stringify({
		name: 'brief', model: 'm', max_completion_tokens: 'many' }));
	const { stdout } = await bench.command(['--check-config'], { ASSISTANTS_DEFINITION: bad });
	assert.match(stdout, /"max_completion_tokens" in \S+ must be a whole number of at least 1/);
});

e2e('a server that takes the limit for too long a context is asked with the least', async (bench) => {
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_DAILY_TOKENS: '15000' } });
	model.otherwise = (response, request) => ((limitOf(request) ?? 0) > 8_000
		? status(400, {}, JSON.stringify({ error: { message: 'This model\'s maximum context ' +
			'length is 8192 tokens. However, you requested 15000 tokens (100 in the messages, ' +
			'14900 in the completion).', code: 'context_length_exceeded' } }))
		: costs(100))(response, request);
	for (let i = 0; i < 2; i++) {
		const answer = await say(site, await newThread(site), 'words');
		assert.equal(answer.status, 200, answer.text);
		assert.equal(limitOf(model.requests.at(-1)), 2_000);
	}
});

e2e('a conversation that has more than a day\'s tokens waits for a whole day\'s', async (bench) => {
	bench.expectLog(/answered 401/);
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_DAILY_TOKENS: '10000' } });
	const thread = await newThread(site);
	model.queue.push(status(401));
	assert.equal((await say(site, thread, 'long '.repeat(8000))).status, 502);
	model.queue.push(costs(500));
	assert.equal((await say(site, thread, 'hi')).status, 200);
	assertEmpty(await say(site, thread, 'hi'), 0.06 * 86_400);
	// Shorter ones get what is left.
	assert.equal((await say(site, await newThread(site), 'hi')).status, 200);
});

e2e('each round of tools makes its own reservation, or ends the run', async (bench) => {
	bench.expectLog(/the run that waited for tools was cancelled/);
	const model = await modelServer(bench);
	const site = await bench.listen({ env: { ...model.env, ASSISTANTS_DAILY_TOKENS: '20000',
		ASSISTANTS_TOOLS_DIR: bench.exampleTools() } });
	model.queue.push(functionCall('add_numbers', costing(4_000)), costs(100));
	const thread = await newThread(site);
	assert.equal((await say(site, thread, 'words')).status, 200);
	assert.equal(limitOf(model.requests[0]), undefined);
	const left = limitOf(model.requests[1]) ?? 20_000;
	assert.ok(left < 16_000, `${left}`);
	// After the first round there is too little for the second.
	model.queue.push(functionCall('add_numbers', costing(14_500)));
	assertEmpty(await say(site, thread, 'words'), 86_400);
	assert.equal(model.requests.length, 3);
	// The thread is free.
	assertEmpty(await say(site, thread, 'words'), 86_400);
});

// --- under /v1 ---

async function v1(bench, env) {
	const keys = { alice: await makeKey(bench, 'alice'), bob: await makeKey(bench, 'bob') };
	const site = await bench.listen({ env: { ...env, ASSISTANTS_KEY_DAILY_TOKENS: '10000' } });
	return async (who, method, path, body) => site.request(method, `/v1${path}`, {
		headers: bearer(keys[who]), body: body && JSON.stringify(body),
	});
}

async function newRun(ask, who, more = {}) {
	const assistant = (await ask(who, 'POST', '/assistants', { model: 'm', instructions: 'x' })).json;
	const thread = (await ask(who, 'POST', '/threads', {})).json;
	const run = await ask(who, 'POST', `/threads/${thread.id}/runs`,
		{ assistant_id: assistant.id, ...more });
	return { run, path: `/threads/${thread.id}/runs` };
}

for (const [kind, more] of [['queued', {}], ['streamed', { stream: true }]]) {
	e2e(`/v1: each name has its own tokens: ${kind} runs`, async (bench) => {
		const model = await modelServer(bench);
		const ask = await v1(bench, model.env);
		model.otherwise = costs(9_000);
		const first = await newRun(ask, 'alice', more);
		assert.equal(first.run.status, 200, first.run.text);
		await eventually('it is over', async () =>
			(await ask('alice', 'GET', first.path)).json.data[0].status === 'completed');
		const limit = limitOf(model.requests[0]);
		assert.ok(limit > 9_900 && limit <= 10_000, `${limit}`);
		const second = await newRun(ask, 'alice', more);
		const error = assertError(second.run, 429, /ASSISTANTS_KEY_DAILY_TOKENS/);
		assert.equal(error.code, 'rate_limit_exceeded');
		assert.ok(Number(second.run.headers['retry-after']) > 60);
		assert.equal(second.run.headers['x-should-retry'], 'false');
		assert.deepEqual((await ask('alice', 'GET', second.path)).json.data, []);
		assert.equal((await newRun(ask, 'bob', more)).run.status, 200);
	});
}

for (const [kind, answer] of [
	['JSON', json({ choices: [], usage: { prompt_tokens: 500, completion_tokens: 8_500,
		total_tokens: 9_000, completion_tokens_details: { reasoning_tokens: 0 } } })],
	['a stream', async (request, response) => {
		for await (const piece of request) assert.ok(piece);
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		response.write('data: {"choices":[],"usage":null}\n\n');
		response.write(`data: {"choices":[{"text":"${'x'.repeat(9_000)}"}]}\n\n`);
		response.write('data: {"type":"response.completed","response":{"usage":');
		response.end('{"input_tokens":500,"output_tokens":8500}}}\n\ndata: [DONE]\n\n');
	}],
]) {
	e2e(`/v1: pass-through counts as well: ${kind}`, async (bench) => {
		const upstream = await rawUpstream(bench, answer);
		const ask = await v1(bench, upstream.env);
		const chat = (who) => ask(who, 'POST', '/chat/completions', { model: 'm', messages: [] });
		assert.equal((await chat('alice')).status, 200);
		assertError(await chat('alice'), 429, /ASSISTANTS_KEY_DAILY_TOKENS/);
		assert.equal(upstream.requests.length, 1);
		assert.equal((await chat('bob')).status, 200);
	});
}

e2e('/v1: leaving a request that is passed through costs by the second; a body\'s limit counts',
	async (bench) => {
		const limits = [];
		const upstream = await rawUpstream(bench, async (request) => {
			let text = '';
			for await (const piece of request) text += piece;
			limits.push(JSON.parse(text).max_tokens);
		});
		const key = await makeKey(bench, 'alice');
		const site = await behindNginx(bench, { ...upstream.env, ASSISTANTS_KEY_DAILY_TOKENS: '10000' });
		const body = (max_tokens) => JSON.stringify({ model: 'm', messages: [], max_tokens });
		const request = http.request({ port: site.port, method: 'POST', agent: false,
			path: '/v1/chat/completions', headers: bearer(key) });
		request.on('error', () => {});
		request.end(body(3_000));
		await eventually('it is asked', () => limits.length === 1);
		await sleep(4_000);
		request.destroy();
		await sleep(1_000);
		const second = http.request({ port: site.port, method: 'POST', agent: false,
			path: '/v1/chat/completions', headers: bearer(key) });
		second.on('error', () => {});
		second.end(body(100_000));
		await eventually('it is asked, too', () => limits.length === 2);
		second.destroy();
		assert.equal(limits[0], 3_000);
		// The rest, after 4 or 5 seconds of 200 tokens.
		assert.ok(limits[1] > 8_500 && limits[1] < 9_250, `${limits[1]}`);
	});
