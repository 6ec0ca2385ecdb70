// Answers that take longer than their client waits: Prefer (RFC 7240), a 202, and the run's path.

import assert from 'node:assert/strict';
import path from 'node:path';
import {
	assertSentence, e2e, eventually, freePort, newThread, say, transcript,
} from './lib.mjs';
import { behindCgi, behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { remoteServer } from './lib-remote.mjs';
import {
	behindFcgiwrap, behindLighttpd, behindNginx, fromShell, serve,
} from './lib-servers.mjs';
import {
	functionCalls, gate, incomplete, messageEvents, modelServer, status, stream, usage, words,
} from './lib-upstream.mjs';

const WAYS = {
	shell: fromShell, lighttpd: behindLighttpd, nginx: behindNginx,
	mod_proxy_fcgi: behindProxyFcgi, mod_fcgid: behindFcgid, mod_cgid: behindCgid,
	mod_cgi: behindCgi, fcgiwrap: behindFcgiwrap,
};
const sum = functionCalls(['call_1', 'add_numbers', '{"a": 1, "b": 2}']);
const ASYNC = { prefer: 'respond-async' };
const JSON_TOO = { accept: 'application/json' };

/** Send a message that is answered 202; returns the path of its answer. */
async function sayAsync(site, thread, text, headers = ASYNC) {
	const answer = await say(site, thread, text, headers);
	assert.equal(answer.status, 202, answer.text);
	assert.match(answer.headers['retry-after'], /^[1-9]\d*$/);
	const { location } = answer.headers;
	assert.ok(location.startsWith(`${site.base ?? ''}/threads/${thread}/runs/run_`), location);
	return location.slice((site.base ?? '').length);
}

/** Poll until there is an answer. */
async function answerAt(site, where, headers = {}) {
	let answer;
	await eventually('an answer', async () => {
		answer = await site.request('GET', where, { headers });
		return answer.status !== 202;
	});
	return answer;
}

for (const [way, open] of Object.entries(WAYS)) {
	e2e(`${way}: an answer that no client waits for is fetched later`, async (bench) => {
		const model = await modelServer(bench);
		const held = gate();
		model.queue.push(words('At last.', held.opened));
		const site = await open(bench, model.env);
		const thread = await newThread(site);
		const where = await sayAsync(site, thread, 'words');
		const early = await site.request('GET', where);
		assert.equal(early.status, 202, early.text);
		assert.match(early.headers['retry-after'], /^[1-9]\d*$/);
		held.open();
		const answer = await answerAt(site, where);
		assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'At last.']);
		assert.deepEqual(await transcript(site, thread),
			[['user', 'words'], ['assistant', 'At last.']]);
		assert.equal((await say(site, thread, 'again')).text.trimEnd(), 'hello');
	});
}

e2e('both forms of an answer are those that the blocking form has', async (bench) => {
	const model = await modelServer(bench);
	const site = await bench.listen({ env: model.env });
	const thread = await newThread(site);
	const blocking = await say(site, thread, 'words', JSON_TOO);
	const where = await sayAsync(site, thread, 'words', { ...ASYNC, ...JSON_TOO });
	const { json, headers } = await answerAt(site, where, JSON_TOO);
	assert.equal(headers['content-type'], 'application/json');
	assert.deepEqual(Object.keys(json), Object.keys(blocking.json));
	assert.deepEqual([json.text, json.thread_id, json.usage],
		[blocking.json.text, thread, blocking.json.usage]);
	assert.equal(where.endsWith(`/runs/${json.run_id}`), true);
	// Every run's answer has a path, even one that the client waited for.
	const known = await site.request('GET', `/threads/${thread}/runs/${blocking.json.run_id}`);
	assert.deepEqual([known.status, known.text], [200, blocking.json.text]);
});

e2e('Preference-Applied names the preferences that were honoured', async (bench) => {
	const model = await modelServer(bench);
	const site = await bench.listen({ env: model.env });
	const thread = await newThread(site);
	const applied = async (prefer, expected, preference, more = {}) => {
		const answer = await say(site, thread, 'words', { prefer, ...more });
		assert.deepEqual([answer.status, answer.headers['preference-applied']],
			[expected, preference], prefer);
		if (expected === 202) await answerAt(site, answer.headers.location);
	};
	await applied('respond-async', 202, 'respond-async');
	await applied('wait=60', 200, 'wait=60');
	await applied('respond-async, wait=60', 200, 'respond-async, wait=60');
	await applied('wait=0', 202, 'wait=0');
	await applied('return=minimal; x="a, wait=0", WAIT = "60"', 200, 'wait=60');
	await applied('wait=soon', 200, undefined);
	await applied('handling=lenient', 200, undefined);
	await applied('respond-async', 200, undefined, { accept: 'text/event-stream' });
	const held = gate();
	model.queue.push(words('hello you', held.opened));
	const answer = await say(site, thread, 'words', { prefer: 'wait=1, respond-async' });
	assert.deepEqual([answer.status, answer.headers['preference-applied']],
		[202, 'respond-async, wait=1']);
	held.open();
	assert.equal((await answerAt(site, answer.headers.location)).text, 'hello you');
});

e2e('the 202 is JSON if that is preferred, and logged when it is sent', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('hello you', held.opened));
	const site = await bench.listen({ env: model.env });
	const thread = await newThread(site);
	const { json, headers } = await say(site, thread, 'words', { ...ASYNC, ...JSON_TOO });
	assert.deepEqual(json, { thread_id: thread, run_id: json.run_id, status: 'in_progress' });
	await eventually('the line of the request', () => bench.logEntries().some(
		(line) => line.status === 202 && line.route === '/threads/{id}/messages'));
	held.open();
	await answerAt(site, headers.location);
	const lines = bench.logEntries().filter((line) => line.route === '/threads/{id}/messages');
	assert.equal(lines.length, 1, 'one line for the message');
});

// What a client receives, without what differs from request to request.
function told({ status, text, headers }) {
	const own = /^(date|connection|content-length|x-request-id|preference-applied|retry-after)$/;
	const rest = Object.entries(headers).filter(([name]) => !own.test(name)).sort();
	return {
		status, text: text.replace(/(thread|run|msg)_\w{24}/g, '$1'), rest,
		later: 'retry-after' in headers,
	};
}

/**
 * Assert that a client that comes back for its answer gets what a waiting one got, at once and each
 * time it asks.
 */
async function assertSame(site, expected) {
	for (const headers of [{}, JSON_TOO]) {
		const blocking = await say(site, await newThread(site), 'words', headers);
		assert.equal(blocking.status, expected, blocking.text);
		const where = await sayAsync(site, await newThread(site), 'words', ASYNC);
		assert.deepEqual(told(await answerAt(site, where, headers)), told(blocking));
		assert.deepEqual(told(await site.request('GET', where, { headers })), told(blocking));
	}
}

const OUTCOMES = {
	'an answer that is cut short': [incomplete('a beginning'), 200],
	'one without any text': [words(''), 502, /without any text/],
	'a model server that fails': [status(500), 502, /answered 500/],
	'one that is busy': [status(429, { 'retry-after': '0' }), 503, /answered 429/],
	'a tool that is not here': [sum, 502, /this server has no tools/],
};
for (const [what, [outcome, code, ...logged]] of Object.entries(OUTCOMES)) {
	e2e(`${what} is answered as if the client had waited`, async (bench) => {
		bench.expectLog(...logged);
		const model = await modelServer(bench);
		model.otherwise = outcome;
		await assertSame(await bench.listen({ env: model.env }), code);
	});
}

const RUNS = {
	failed: [{ last_error: { code: 'server_error', message: 'broken' } }, 502, /broken/],
	busy: [{ last_error: { code: 'rate_limit_exceeded', message: 'busy' } }, 503, /busy/],
};
for (const [what, [fields, code, logged]] of Object.entries(RUNS)) {
	e2e(`a remote run that ends as ${what} is, too`, async (bench) => {
		bench.expectLog(logged);
		const remote = await remoteServer(bench);
		const failed_at = Math.floor(Date.now() / 1000);
		remote.run = { states: [{ status: 'failed', failed_at, ...fields }], answers: [] };
		await assertSame(await bench.listen({ env: remote.env }), code);
	});
}

e2e('a remote run that is given up is over, though the server is slow to cancel it', async (bench) => {
	bench.expectLog(/this server has no tools/);
	const remote = await remoteServer(bench);
	const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
	const required_action = { type: 'submit_tool_outputs', submit_tool_outputs: { tool_calls: [call] } };
	remote.run = { states: [{ status: 'requires_action', required_action }], answers: [] };
	remote.refuse = (at) => (at.endsWith('/cancel') ? { status: 'cancelling' } : undefined);
	await assertSame(await bench.listen({ env: remote.env }), 502);
});

e2e('a run that has just failed is where it was asked for, whatever a server calls it', async (bench) => {
	const remote = await remoteServer(bench);
	const site = await bench.listen({ env: remote.env });
	const { json } = await say(site, await newThread(site), 'words', JSON_TOO);
	const where = `/threads/${json.thread_id}/runs/${json.run_id}`;
	const failed_at = Math.floor(Date.now() / 1000) + 60;
	const run = { id: 'run_a\r\nx-b: c', status: 'failed', failed_at, metadata: { deferred: 'pending' } };
	remote.refuse = () => run;
	const { status: code, headers } = await site.request('GET', where);
	assert.deepEqual([code, headers.location, headers['x-b']], [202, where, undefined]);
});

e2e('a remote run with an unknown status counts as at work', async (bench) => {
	const remote = await remoteServer(bench);
	remote.run = { states: [{ status: 'waking' }], answers: ['hello'] };
	const site = await bench.listen({ env: remote.env });
	const thread = await newThread(site);
	const where = await sayAsync(site, thread, 'words');
	assert.equal((await site.request('GET', where)).status, 202);
	const [run] = remote.threads.get(thread).runs.values();
	assert.equal(run.status, 'waking');
	run.states = [{ status: 'completed' }];
	assert.equal((await answerAt(site, where)).text, 'hello');
});

e2e('tokens that are used up meanwhile are reported with the time to wait', async (bench) => {
	bench.expectLog(/the run that waited for tools was cancelled/);
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(async (response) => {
		await held.opened;
		await sum(response);
	});
	const env = { ...model.env, ASSISTANTS_TOOLS_DIR: bench.exampleTools(), ASSISTANTS_DAILY_TOKENS: '25000' };
	const site = await bench.listen({ env });
	const where = await sayAsync(site, await newThread(site), 'words');
	await eventually('the model is asked', () => model.requests.length === 1);
	const part = { type: 'output_text', text: 'hello', annotations: [] };
	const end = { status: 'completed', usage: { ...usage, input_tokens: 50_000 } };
	model.queue.push(stream(messageEvents(part, end)));
	assert.equal((await say(site, await newThread(site), 'much')).status, 200);
	held.open();
	const answer = await answerAt(site, where);
	assertSentence(answer, 429);
	assert.match(answer.headers['retry-after'], /^[1-9]\d{3,}$/);
	assert.equal(model.requests.length, 2);
});

e2e('tools also work when no client waits', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(async (response) => {
		await held.opened;
		await sum(response);
	}, words('It is 3.'));
	const env = { ...model.env, ASSISTANTS_TOOLS_DIR: bench.exampleTools() };
	const site = await behindCgid(bench, env);
	const where = await sayAsync(site, await newThread(site), 'words');
	held.open();
	assert.equal((await answerAt(site, where)).text, 'It is 3.');
	const outputs = model.requests[1].json.input.filter(({ type }) => type === 'function_call_output');
	assert.equal(outputs[0].output.trim(), '3');
});

e2e('a busy thread is reported at once, or after the preferred time', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('hello you', held.opened));
	const site = await bench.listen({ env: model.env });
	const thread = await newThread(site);
	const where = await sayAsync(site, thread, 'words');
	assertSentence(await say(site, thread, 'more', ASYNC), 409);
	assertSentence(await say(site, thread, 'more', { prefer: 'wait=1' }), 409);
	held.open();
	await answerAt(site, where);
	assert.deepEqual((await transcript(site, thread)).map(([role]) => role), ['user', 'assistant']);
});

for (const mode of ['stream', 'json']) {
	e2e(`the same for a remote Assistants API: ${mode}`, async (bench) => {
		const remote = await remoteServer(bench);
		remote.mode = mode;
		const site = await bench.listen({ env: remote.env });
		const thread = await newThread(site);
		const blocking = await say(site, thread, 'words');
		assert.equal(blocking.status, 200, blocking.text);
		const answer = await answerAt(site, await sayAsync(site, thread, 'words'));
		assert.deepEqual([answer.status, answer.text], [200, blocking.text]);
	});
}

e2e('a killed program leaves a run that reports it', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(words('hello you', new Promise(() => {})));
	const killed = await bench.listen({ env: model.env });
	const thread = await newThread(killed);
	const where = await sayAsync(killed, thread, 'words');
	await eventually('the model is asked', () => model.requests.length === 1);
	await killed.kill();
	const site = await bench.listen({ env: model.env });
	assertSentence(await answerAt(site, where), 502);
	assert.equal((await say(site, thread, 'again')).text, 'hello');
});

e2e('an id that is no run\'s is refused', async (bench) => {
	const site = await bench.listen();
	const thread = await newThread(site);
	const get = (where, headers) => site.request('GET', where, { headers });
	assertSentence(await get(`/threads/${thread}/runs/run_abcdefghijklmnopqrstuvwx`), 404);
	assertSentence(await get(`/threads/${thread}/runs/now`), 404);
	assertSentence(await get(`/threads/${thread}/runs/a.b`), 400);
	assertSentence(await get('/threads/a.b/runs/run_abcdefghijklmnopqrstuvwx'), 400);
	const { json } = await say(site, thread, 'words', JSON_TOO);
	const where = `/threads/${thread}/runs/${json.run_id}`;
	assert.equal((await get(where, { accept: 'text/event-stream' })).status, 406);
	assertSentence(await get(where.replace(thread, await newThread(site))), 404);
	assert.equal((await site.request('POST', where)).headers.allow, 'GET, HEAD, OPTIONS');
	await site.request('DELETE', `/threads/${thread}`);
	assertSentence(await get(where), 404);
});

/** A proxy in front of the site that cuts connections after a second of silence. */
async function impatient(bench, site) {
	const port = await freePort();
	const config = bench.file('impatient.conf', `pid ${bench.dir}/impatient.pid;
		error_log ${bench.dir}/impatient.log; events {}
		http { access_log off; client_body_temp_path ${bench.dir}/impatient; server {
			listen 127.0.0.1:${port};
			location / { proxy_pass http://127.0.0.1:${site.port}; proxy_read_timeout 1s; }
		} }`);
	const args = ['-c', config, '-e', `${bench.dir}/impatient.log`, '-g', 'daemon off;'];
	return serve(bench, 'nginx', args, { port, env: { PATH: bench.env.PATH } });
}

for (const open of [behindLighttpd, behindNginx]) {
	e2e(`${open.name}: a long answer gets through a proxy that cuts`, async (bench) => {
		const model = await modelServer(bench);
		const held = gate();
		model.queue.push(words('hello you', new Promise(() => {})), words('At last.', held.opened));
		const site = await impatient(bench, await open(bench, model.env));
		assert.equal((await say(site, await newThread(site), 'words')).status, 504);
		const where = await sayAsync(site, await newThread(site), 'words');
		await eventually('the model is asked', () => model.requests.length === 2);
		const cut = await say(site, await newThread(site), 'words', { prefer: 'wait=0' });
		assert.equal(cut.status, 202);
		held.open();
		assert.equal((await answerAt(site, where)).text, 'At last.');
	});
}
