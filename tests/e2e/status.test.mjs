// Failures of the model server, row by row of the manual's table: what the client gets, what it never gets,
// and that the thread still works.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import {
	KEY, assertSentence, e2e, eventually, freePort, newThread, say, transcript, within,
} from './lib.mjs';
import { assertCauseOnce, assertSecretsKept, assertThreadLives } from './lib-faults.mjs';
import {
	certificate, cutAfter, errorEvent, failed, functionCall, gate, incomplete, messageEvents,
	modelServer, refusal, silence, status, unended, words,
} from './lib-upstream.mjs';

const HTML = '<!doctype html><title>Sign in</title><p>words of the model server';
const PART = { type: 'output_text', text: 'a beginning that is cut', annotations: [] };

const type = (value) => ({ 'content-type': value });

// A row: the model server's answer to every try, the gateway's status, the log's line.
const FAILURES = {
	'401': [status(401), 502, /401/],
	'403': [status(403), 502, /403/],
	'404': [status(404), 502, /404/],
	'400': [status(400), 502, /400/],
	'500': [status(500), 502, /500/],
	'a redirect': [status(302, { location: 'http://127.0.0.1:1/' }), 502, /302/],
	'HTML': [status(200, type('text/html'), HTML), 502, /./],
	'an empty answer': [status(200, type('text/event-stream'), ''), 502, /./],
	'JSON that is no stream': [status(200, type('application/json'), '{}'), 502, /./],
	'a stream of nonsense': [
		status(200, type('text/event-stream'), 'data: {nonsense\n\n'), 502, /./,
	],
	'a stream cut before its words': [cutAfter(2, messageEvents(PART)), 502, /./],
	'a stream cut in its words': [cutAfter(6, messageEvents(PART)), 502, /./],
	'a failed response': [failed(), 502, /./],
	'an error event': [errorEvent(), 502, /./],
	'a call of a function': [functionCall('lookup'), 502, /./],
	'an answer without any text that a limit cut off': [incomplete(''), 502, /./],
	'429 with Retry-After': [status(429, { 'retry-after': '0' }), 503, /429/],
	'503 with Retry-After': [status(503, { 'retry-after': '0' }), 503, /503/],
};

for (const [name, [answer, code, logged]] of Object.entries(FAILURES)) {
	e2e(`the model server answers ${name}: ${code}`, async (bench) => {
		bench.expectLog(logged);
		const model = await modelServer(bench);
		model.otherwise = answer;
		const server = await bench.listen({ env: model.env });
		const thread = await newThread(server);
		const told = await say(server, thread, 'first words');
		assertSentence(told, code);
		assertSecretsKept(told);
		assertCauseOnce(bench, logged);
		if (code === 503) assert.match(told.headers['retry-after'], /^\d+$/);
		model.otherwise = words('hello');
		await assertThreadLives(server, thread);
	});
}

e2e('errors of the model server as application/problem+json', async (bench) => {
	bench.expectLog(/500/);
	const model = await modelServer(bench);
	model.otherwise = status(500);
	const server = await bench.listen({ env: model.env });
	const headers = { accept: 'application/json' };
	const told = await say(server, await newThread(server), 'words', headers);
	assert.equal(told.status, 502);
	assert.match(told.headers['content-type'], /^application\/problem\+json/);
	assertSecretsKept(told);
});

e2e('nothing listens where the model server should be: 502', async (bench) => {
	bench.expectLog(/could not be asked: no connection/);
	const port = await freePort();
	const env = { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`, OPENAI_API_KEY: KEY };
	const server = await bench.listen({ env });
	const thread = await newThread(server);
	assertSentence(await say(server, thread, 'first words'), 502);
	await modelServer(bench, { port });
	await assertThreadLives(server, thread);
});

e2e('the model server\'s certificate is not trusted: 502, unless it is configured', async (bench) => {
	bench.expectLog(/TLS could not be verified/);
	const tls = certificate(bench);
	const model = await modelServer(bench, { tls });
	const doubting = await bench.listen({ env: model.env });
	const thread = await newThread(doubting);
	assertSentence(await say(doubting, thread, 'first words'), 502);
	assert.equal(model.requests.length, 0, 'nothing was sent');
	await doubting.stop();
	const env = { ...model.env, ASSISTANTS_CA_FILE: tls.file };
	const trusting = await bench.listen({ env });
	await assertThreadLives(trusting, thread);
});

e2e('429 with Retry-After is tried again', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(status(429, { 'retry-after': '1' }));
	const server = await bench.listen({ env: model.env });
	const begun = Date.now();
	const told = await say(server, await newThread(server), 'words');
	assert.deepEqual([told.status, told.text.trimEnd()], [200, 'hello']);
	assert.equal(model.requests.length, 2);
	assert.ok(Date.now() - begun >= 900, 'Retry-After was waited for');
});

e2e('503 is tried again, and so is one without Retry-After', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(status(503));
	const server = await bench.listen({ env: model.env });
	assert.equal((await say(server, await newThread(server), 'words')).text.trimEnd(), 'hello');
	assert.equal(model.requests.length, 2);
});

e2e('tries have an end', async (bench) => {
	bench.expectLog(/429/);
	const model = await modelServer(bench);
	model.otherwise = status(429, { 'retry-after': '0' });
	const server = await bench.listen({ env: model.env });
	assert.equal((await say(server, await newThread(server), 'words')).status, 503);
	assert.equal(model.requests.length, 4, 'one try and three repeats');
});

e2e('500 is not tried again: it may have cost tokens', async (bench) => {
	bench.expectLog(/500/);
	const model = await modelServer(bench);
	model.otherwise = status(500);
	const server = await bench.listen({ env: model.env });
	assert.equal((await say(server, await newThread(server), 'words')).status, 502);
	assert.equal(model.requests.length, 1);
});

e2e('a Retry-After that is too long is not waited for, but passed on', async (bench) => {
	bench.expectLog(/429/);
	const model = await modelServer(bench);
	model.queue.push(status(429, { 'retry-after': '3600' }));
	const server = await bench.listen({ env: model.env });
	const thread = await newThread(server);
	const told = await say(server, thread, 'first words');
	assertSentence(told, 503);
	assert.equal(told.headers['retry-after'], '3600');
	assert.equal(model.requests.length, 1);
	await assertThreadLives(server, thread);
});

e2e('a Retry-After that is no number is ignored', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(status(429, { 'retry-after': 'soon' }));
	const server = await bench.listen({ env: model.env });
	assert.equal((await say(server, await newThread(server), 'words')).text.trimEnd(), 'hello');
});

for (const [when, answer] of [
	['before it answers', silence()],
	['in the middle of its words', words('hello', new Promise(() => {}))],
]) {
	e2e(`the model server falls silent ${when}: 504`, async (bench) => {
		bench.expectLog(/did not answer in time/);
		const model = await modelServer(bench);
		model.queue.push(answer);
		const env = { ...model.env, ASSISTANTS_RUN_TIMEOUT: '1' };
		const server = await bench.listen({ env });
		const thread = await newThread(server);
		const told = await say(server, thread, 'first words');
		assertSentence(told, 504);
		assertSecretsKept(told);
		await assertThreadLives(server, thread);
	});
}

e2e('a stream that stays open after its last event is not waited for', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(unended('at once'));
	const server = await bench.listen({ env: model.env });
	const thread = await newThread(server);
	const told = await within(say(server, thread, 'first words'), 'the answer', 3000);
	assert.deepEqual([told.status, told.text.trimEnd()], [200, 'at once']);
	await assertThreadLives(server, thread);
});

e2e('an answer that a limit cut off comes with the reason', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(incomplete('a beginning'));
	const server = await bench.listen({ env: model.env });
	const thread = await newThread(server);
	const told = await say(server, thread, 'first words');
	assert.deepEqual([told.status, told.text.trimEnd()], [200, 'a beginning']);
	assert.equal(told.headers['assistants-incomplete'], 'max_completion_tokens');
	assert.equal((await say(server, thread, 'second words')).text.trimEnd(), 'hello');
});

e2e('a refusal is an answer', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(refusal('I can\'t help with that.'));
	const server = await bench.listen({ env: model.env });
	const thread = await newThread(server);
	const told = await say(server, thread, 'first words');
	assert.deepEqual([told.status, told.text.trimEnd()], [200, 'I can\'t help with that.']);
	assert.deepEqual(await transcript(server, thread), [
		['user', 'first words'], ['assistant', 'I can\'t help with that.'],
	]);
	assert.equal((await say(server, thread, 'second words')).text.trimEnd(), 'hello');
});

e2e('a second message waits until the thread is free', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('one', held.opened), words('two'));
	const server = await bench.listen({ env: model.env });
	const thread = await newThread(server);
	const first = say(server, thread, 'first words');
	await eventually('the model is asked', () => model.requests.length === 1);
	const second = say(server, thread, 'second words');
	await sleep(300);
	assert.equal(model.requests.length, 1, 'one run a thread');
	held.open();
	assert.deepEqual((await Promise.all([first, second])).map(({ text }) => text.trimEnd()),
		['one', 'two']);
	assert.deepEqual(await transcript(server, thread), [
		['user', 'first words'], ['assistant', 'one'],
		['user', 'second words'], ['assistant', 'two'],
	]);
});

e2e('no worker is free: 503 with Retry-After, while health and threads are served',
	async (bench) => {
		const model = await modelServer(bench);
		const held = gate();
		model.queue.push(words('one', held.opened));
		const env = { ...model.env, ASSISTANTS_WORKERS: '3' };
		const server = await bench.listen({ env });
		const [first, second] = [await newThread(server), await newThread(server)];
		const waiting = say(server, first, 'words');
		await eventually('the model is asked', () => model.requests.length === 1);
		const told = await say(server, second, 'words');
		assertSentence(told, 503);
		assert.match(told.headers['retry-after'], /^\d+$/);
		assert.equal((await server.request('GET', '/health')).status, 200);
		await newThread(server);
		held.open();
		assert.equal((await waiting).text.trimEnd(), 'one');
		assert.equal((await say(server, second, 'words')).text.trimEnd(), 'hello');
	});
