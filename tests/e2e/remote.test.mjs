// The gateway as a client of a remote Assistants API, which it must not ask for more than it needs.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
	UPSTREAM_KEY, assertSentence, e2e, eventually, newThread, say, transcript, within,
} from './lib.mjs';
import {
	assertCancelled, assertCredentials, problem, remoteServer, requested,
} from './lib-remote.mjs';
import { behindNginx, fromShell } from './lib-servers.mjs';
import { MARKER, gate } from './lib-upstream.mjs';

// Newest first, so all pages must be read to find the oldest.
const LIST = 'GET /v1/assistants?limit=100';
const CREATE = 'POST /v1/assistants';
const UPDATE = 'POST /v1/assistants/ID';
const RUN = 'POST /v1/threads/ID/runs';
const POLL = 'GET /v1/threads/ID/runs/ID';
const READ = 'GET /v1/threads/ID/messages?run_id=ID&order=asc&limit=100';
const ONE_MESSAGE = [RUN, POLL, READ];

// A remote, a site (CGI: each request from another process) and a thread, with an empty log.
async function scene(bench, env = {}, open = fromShell) {
	const remote = await remoteServer(bench);
	const site = await open(bench, { ...remote.env, ...env });
	const thread = await newThread(site);
	remote.takeLog();
	return { remote, site, thread };
}

async function assertAnswered(site, thread, words = 'hello') {
	const answer = await say(site, thread, 'words');
	assert.deepEqual([answer.status, answer.text.trimEnd()], [200, words]);
}

// The files in the state folder that have an assistant's id.
function cacheFiles(bench) {
	return fs.readdirSync(bench.state).map((name) => path.join(bench.state, name))
		.filter((file) => fs.statSync(file).isFile() && !/\.db(-|$)/.test(file))
		.filter((file) => fs.readFileSync(file, 'latin1').includes('asst_'));
}

e2e('an absent assistant is created, once, and each request bears key and version',
	async (bench) => {
		const { remote, site, thread } = await scene(bench);
		await assertAnswered(site, thread);
		assert.ok(remote.requests.length > 0);
		remote.requests.forEach(assertCredentials);
		assert.equal(remote.assistants.length, 1);
		assert.match(remote.assistants[0].name, /\w/);
		assert.deepEqual(remote.takeLog(), [LIST, CREATE, ...ONE_MESSAGE]);
		await assertAnswered(site, thread);
		assert.deepEqual(remote.takeLog(), ONE_MESSAGE);
		const [cache] = cacheFiles(bench);
		assert.equal(fs.statSync(cache).mode & 0o777, 0o600);
		assert.ok(!fs.readFileSync(cache, 'utf8').includes(UPSTREAM_KEY));
	});

// The name in the built-in definition, by what the program creates on an empty remote.
async function builtInName(bench) {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	cacheFiles(bench).forEach((file) => fs.rmSync(file));
	return remote.assistants[0].name;
}

e2e('the assistant is found on the last of three pages, and remembered', async (bench) => {
	const name = await builtInName(bench);
	const { remote, site, thread } = await scene(bench);
	const ours = remote.addAssistant({ name, instructions: 'as they were' });
	for (let i = 1; i < 250; i++) remote.addAssistant({ name: `Somebody ${i}` });

	await assertAnswered(site, thread);
	const [run] = remote.requests.filter(({ line }) => line.endsWith('/runs'));
	assert.equal(run.body.assistant_id, ours.id);
	assert.equal(run.body.stream, true);
	assert.deepEqual(run.body.additional_messages, [{ role: 'user', content: 'words' }]);
	assert.deepEqual(remote.takeLog(),
		[LIST, `${LIST}&after=ID`, `${LIST}&after=ID`, ...ONE_MESSAGE]);

	await assertAnswered(site, thread);
	assert.deepEqual(remote.takeLog(), ONE_MESSAGE);
	assert.equal(ours.instructions, 'as they were');
	assert.deepEqual(await transcript(site, thread), [
		['user', 'words'], ['assistant', 'hello'],
		['user', 'words'], ['assistant', 'hello'],
	]);
});

e2e('of several assistants with the same name the oldest is used, unchanged', async (bench) => {
	const name = await builtInName(bench);
	const { remote, site, thread } = await scene(bench);
	remote.addAssistant({ name: 'Somebody' });
	const oldest = remote.addAssistant({ name });
	for (let i = 1; i < 150; i++) remote.addAssistant({ name });
	await assertAnswered(site, thread);
	const run = remote.requests.find(({ line }) => line.endsWith('/runs'));
	assert.equal(run.body.assistant_id, oldest.id);
	const log = remote.takeLog();
	assert.ok(!log.includes(CREATE) && !log.includes(UPDATE), log.join('\n'));
});

e2e('an assistant that the server no longer knows is replaced, and the message answered',
	async (bench) => {
		bench.expectLog(/asst_|assistant/);
		const { remote, site, thread } = await scene(bench);
		await assertAnswered(site, thread);
		remote.assistants.splice(0);
		remote.takeLog();
		await assertAnswered(site, thread);
		assert.deepEqual(remote.takeLog(), [RUN, LIST, CREATE, ...ONE_MESSAGE]);
		const { length } = await transcript(site, thread);
		assert.equal(length, 4, 'the words stand there once');
	});

e2e('an assistant that the server does not know even when it is new: 502', async (bench) => {
	bench.expectLog(/No assistant found/, /asst_/);
	const { remote, site, thread } = await scene(bench);
	remote.refuse = (pathname) => {
		if (!pathname.endsWith('/runs')) return undefined;
		return problem(404, `No assistant found with id '${remote.assistants.at(-1).id}'.`);
	};
	const told = await say(site, thread, 'words');
	assertSentence(told, 502);
	assert.deepEqual(remote.takeLog(), [LIST, CREATE, RUN, LIST, RUN]);
	remote.refuse = () => undefined;
	await assertAnswered(site, thread);
});

e2e('another definition updates the assistant, once', async (bench) => {
	const define = (instructions) => bench.file('definition.json',
		JSON.stringify({ name: 'Tutor', model: 'a-model', instructions }));
	const env = { ASSISTANTS_DEFINITION: define('Be terse.') };
	const { remote, site, thread } = await scene(bench, env);
	await assertAnswered(site, thread);
	assert.deepEqual(remote.takeLog(), [LIST, CREATE, ...ONE_MESSAGE]);
	define('Be kind.');
	await assertAnswered(site, thread);
	assert.deepEqual(remote.takeLog(), [UPDATE, ...ONE_MESSAGE]);
	assert.equal(remote.assistants[0].instructions, 'Be kind.');
	await assertAnswered(site, thread);
	assert.deepEqual(remote.takeLog(), ONE_MESSAGE);
});

e2e('eight processes at once on an empty state folder make one assistant', async (bench) => {
	const { remote, site } = await scene(bench);
	const once = async () => assertAnswered(site, await newThread(site));
	await Promise.all(Array.from({ length: 8 }, once));
	assert.equal(remote.assistants.length, 1);
	const lists = remote.takeLog().filter((line) => line === LIST);
	assert.equal(lists.length, 1, 'seven of them waited, and read the cache again');
});

for (const [how, damage] of [
	['garbage', () => 'asst_?'], ['empty', () => ''], ['cut', (text) => text.slice(0, -9)],
]) {
	e2e(`a damaged cache file (${how}) is replaced`, async (bench) => {
		bench.expectLog(/was unreadable or damaged/);
		const { remote, site, thread } = await scene(bench);
		await assertAnswered(site, thread);
		const [cache] = cacheFiles(bench);
		fs.writeFileSync(cache, damage(fs.readFileSync(cache, 'utf8')));
		remote.takeLog();
		await assertAnswered(site, thread);
		assert.deepEqual(remote.takeLog(), [LIST, ...ONE_MESSAGE]);
		await assertAnswered(site, thread);
		assert.deepEqual(remote.takeLog(), ONE_MESSAGE);
	});
}

e2e('another server\'s cache is not used', async (bench) => {
	const { site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	const other = await scene(bench);
	await assertAnswered(other.site, other.thread);
	assert.deepEqual(other.remote.takeLog(), [LIST, CREATE, ...ONE_MESSAGE]);
});

e2e('a remote that streams is not polled', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	remote.mode = 'stream';
	await assertAnswered(site, thread);
	remote.takeLog();
	await assertAnswered(site, thread);
	assert.deepEqual(remote.takeLog(), [RUN]);
	const headers = { accept: 'application/json' };
	const { json } = await say(site, thread, 'words', headers);
	assert.deepEqual([json.text, json.usage.total_tokens], ['hello', 18]);
});

// The program as a server, which keeps its connections to the remote.
const asServer = (bench, env) => bench.listen({ env });

e2e('messages that follow each other share a connection', async (bench) => {
	const { remote, site, thread } = await scene(bench, {}, asServer);
	remote.mode = 'stream';
	await assertAnswered(site, thread);
	const before = remote.connections;
	await assertAnswered(site, thread);
	await assertAnswered(site, thread);
	assert.deepEqual([before, remote.connections], [1, 1]);
});

e2e('a stream that stays open after the run\'s end is not waited for', async (bench) => {
	const { remote, site, thread } = await scene(bench, {}, asServer);
	remote.mode = 'open';
	for (let i = 0; i < 2; i++) {
		await within(assertAnswered(site, thread), 'the answer', 3000);
	}
	assert.ok(!requested(remote, /\/cancel$/));
});

e2e('a stream that breaks after the run is known is followed by polling', async (bench) => {
	bench.expectLog(/stream broke off/);
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	remote.mode = 'cut';
	remote.takeLog();
	await assertAnswered(site, thread);
	assert.deepEqual(remote.takeLog(), ONE_MESSAGE);
});

e2e('all of the run\'s messages are the answer, oldest first, over pages', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	remote.pageSize = 2;
	const answers = ['one', 'two', 'three', 'four', 'five'];
	remote.run = { states: [{ status: 'completed' }], answers };
	remote.takeLog();
	await assertAnswered(site, thread, answers.join('\n\n'));
	assert.deepEqual(remote.takeLog(),
		[RUN, POLL, READ, `${READ}&after=ID`, `${READ}&after=ID`]);
	const headers = { accept: 'application/json' };
	const { json } = await say(site, thread, 'words', headers);
	assert.deepEqual(json.messages.map(({ text }) => text), answers);
	assert.equal(json.text, answers.join('\n\n'));
	const read = (await transcript(site, thread)).map(([, text]) => text);
	assert.deepEqual(read, ['words', 'hello', 'words', ...answers, 'words', ...answers]);

	remote.mode = 'stream';
	await assertAnswered(site, thread, answers.join('\n\n'));
});

e2e('lists without an end are given up', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	for (let i = 0; i < 3; i++) remote.addAssistant({ name: `Somebody ${i}` });
	remote.pageSize = 2;
	remote.endless = true;
	await within(assertAnswered(site, thread), 'the answer', 5000);
	const reading = site.request('GET', `/threads/${thread}/messages`);
	assert.equal((await within(reading, 'the conversation', 5000)).status, 200);
	// The first page, and the second, which is the same: for three lists.
	const { length } = remote.takeLog().filter((line) => /^GET .*limit=/.test(line));
	assert.ok(length <= 6, `${length} requests`);
});

e2e('a run is polled until it ends', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	const states = ['queued', 'in_progress', 'in_progress', 'completed']
		.map((status) => ({ status }));
	remote.nextRuns.push({ states, answers: ['at last'] });
	remote.takeLog();
	await assertAnswered(site, thread, 'at last');
	assert.deepEqual(remote.takeLog(), [RUN, POLL, POLL, POLL, POLL, READ]);
});

e2e('a poll that fails is followed by another', async (bench) => {
	bench.expectLog(/500/);
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	let bad = 1;
	remote.refuse = (pathname) => {
		if (!/\/runs\/\w+$/.test(pathname) || bad-- <= 0) return undefined;
		return problem(500, MARKER);
	};
	remote.takeLog();
	await assertAnswered(site, thread);
	assert.deepEqual(remote.takeLog(), [RUN, POLL, POLL, READ]);
});

e2e('openai-poll-after-ms is honoured', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	remote.runHeaders = { 'openai-poll-after-ms': '1500' };
	const begun = Date.now();
	await assertAnswered(site, thread);
	assert.ok(Date.now() - begun >= 1400);
});

e2e('openai-poll-after-ms of 0 is no reason to poll without a pause', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	remote.takeLog();
	remote.runHeaders = { 'openai-poll-after-ms': '0' };
	const states = [...Array(6).fill({ status: 'in_progress' }), { status: 'completed' }];
	remote.nextRuns.push({ states, answers: ['at last'] });
	const begun = Date.now();
	assert.equal((await say(site, thread, 'words')).text, 'at last');
	assert.ok(Date.now() - begun >= 500);
});

const failure = (code) => ({ status: 'failed', last_error: { code, message: MARKER } });
const ENDS = {
	'failed': [failure('server_error'), 502, new RegExp(MARKER)],
	'failed by a rate limit': [failure('rate_limit_exceeded'), 503, new RegExp(MARKER)],
	'was cancelled by others': [{ status: 'cancelled' }, 502, /cancelled/],
	'expired': [{ status: 'expired' }, 504, /expired/],
	'was incomplete, without any text': [
		{ status: 'incomplete', incomplete_details: { reason: 'max_prompt_tokens' } }, 502,
		/incomplete/,
	],
};

for (const mode of ['json', 'stream']) {
	for (const [name, [state, code, logged]] of Object.entries(ENDS)) {
		e2e(`a run that ${name}, by ${mode}: ${code}`, async (bench) => {
			bench.expectLog(logged);
			const { remote, site, thread } = await scene(bench);
			remote.mode = mode;
			remote.nextRuns.push({ states: [state], answers: [] });
			const told = await say(site, thread, 'words');
			assertSentence(told, code);
			assert.ok(!told.text.includes(MARKER));
			if (code === 503) assert.match(told.headers['retry-after'], /^\d+$/);
			await assertAnswered(site, thread);
		});
	}

	e2e(`an incomplete run with text, by ${mode}: 200, the reason`, async (bench) => {
		const { remote, site, thread } = await scene(bench);
		remote.mode = mode;
		const incomplete_details = { reason: 'max_completion_tokens' };
		const states = [{ status: 'incomplete', incomplete_details }];
		remote.nextRuns.push({ states, answers: ['a beginning'] });
		const told = await say(site, thread, 'words');
		assert.deepEqual([told.status, told.text.trimEnd()], [200, 'a beginning']);
		assert.equal(told.headers['assistants-incomplete'], 'max_completion_tokens');
	});

	e2e(`unknown reasons and counts, by ${mode}: not passed on`, async (bench) => {
		const { remote, site, thread } = await scene(bench);
		remote.mode = mode;
		const incomplete_details = { reason: MARKER };
		const counts = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
		const usage = { ...counts, words: MARKER, prompt_token_details: {} };
		const states = [{ status: 'incomplete', incomplete_details, usage }];
		remote.nextRuns.push({ states, answers: ['a beginning'] });
		const told = await say(site, thread, 'words', { accept: 'application/json' });
		assert.deepEqual([told.status, told.json.text], [200, 'a beginning']);
		assert.equal(told.headers['assistants-incomplete'], 'unknown');
		assert.deepEqual(told.json.usage, counts);
		assert.ok(!(JSON.stringify(told.headers) + told.text).includes(MARKER));
	});

	e2e(`a run that wants a tool, by ${mode}: it is cancelled, 502`, async (bench) => {
		bench.expectLog(/tool/);
		const { remote, site, thread } = await scene(bench);
		remote.mode = mode;
		const called = { name: 'f', arguments: '{}' };
		const tool_calls = [{ id: 'call_1', type: 'function', function: called }];
		const type = 'submit_tool_outputs';
		const required_action = { type, submit_tool_outputs: { tool_calls } };
		const state = { status: 'requires_action', required_action };
		remote.nextRuns.push({ states: [state], answers: [] });
		assertSentence(await say(site, thread, 'words'), 502);
		assertCancelled(remote);
		await assertAnswered(site, thread);
	});
}

e2e('a run that outlasts ASSISTANTS_RUN_TIMEOUT is cancelled: 504', async (bench) => {
	bench.expectLog(/in time/);
	const { remote, site, thread } = await scene(bench, { ASSISTANTS_RUN_TIMEOUT: '1' });
	remote.nextRuns.push({ states: [{ status: 'in_progress' }], answers: [] });
	assertSentence(await say(site, thread, 'words'), 504);
	assertCancelled(remote);
	await assertAnswered(site, thread);
});

e2e('a thread that another client keeps busy is waited for', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	let busy = 1;
	remote.refuse = (pathname) => {
		if (!pathname.endsWith('/runs') || busy-- <= 0) return undefined;
		return problem(400,
			`Thread ${thread} already has an active run run_${'0'.repeat(24)}.`);
	};
	await assertAnswered(site, thread);
});

e2e('a thread that the remote does not know: 404', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	const deleted = await site.request('DELETE', `/threads/${thread}`);
	assert.equal(deleted.status, 204);
	assert.equal(remote.threads.has(thread), false);
	assertSentence(await say(site, thread, 'words'), 404);
	assertSentence(await site.request('GET', `/threads/${thread}/messages`), 404);
	assertSentence(await site.request('DELETE', `/threads/${thread}`), 404);
});

e2e('an unknown thread is no unknown assistant, whatever its id', async (bench) => {
	const { remote, site, thread } = await scene(bench);
	await assertAnswered(site, thread);
	const cached = () => cacheFiles(bench).map((file) => {
		return [file, fs.readFileSync(file, 'utf8'), fs.statSync(file).mtimeMs];
	});
	const before = cached();
	remote.takeLog();
	assertSentence(await say(site, 'thread_assistant', 'words'), 404);
	assert.deepEqual(remote.takeLog(), ['POST /v1/threads/thread_assistant/runs']);
	assert.deepEqual(cached(), before);
	assert.equal(remote.assistants.length, 1);
});

for (const [name, refusal, code] of [
	['401', 401, 502], ['404', 404, 502], ['500', 500, 502], ['429', 429, 503],
]) {
	e2e(`the remote answers ${name} to everything: ${code}`, async (bench) => {
		bench.expectLog(new RegExp(name));
		const remote = await remoteServer(bench);
		const site = await fromShell(bench, remote.env);
		const words = `${MARKER}, you sent ${UPSTREAM_KEY}`;
		remote.refuse = () => problem(refusal, words, { 'retry-after': '0' });
		const told = await site.request('POST', '/threads');
		assertSentence(told, code);
		assert.ok(!told.text.includes(MARKER) && !told.text.includes(UPSTREAM_KEY));
	});
}

for (const mode of ['json', 'stream']) {
	e2e(`a client that leaves nginx cancels its run, by ${mode}`, async (bench) => {
		const { remote, site, thread } = await scene(bench, {}, behindNginx);
		const never = gate();
		remote.mode = mode;
		remote.afterCreated = never.opened;
		remote.nextRuns.push({ states: [{ status: 'in_progress' }], answers: [] });
		const client = site.open('POST', `/threads/${thread}/messages`, 'words');
		await eventually('the run', () => requested(remote, /\/runs$/));
		if (mode === 'json') {
			await eventually('a poll', () => requested(remote, /\/runs\/\w+$/));
		}
		client.destroy();
		await eventually('it is cancelled', () => requested(remote, /\/cancel$/));
		assertCancelled(remote);
		remote.mode = 'json';
		await assertAnswered(site, thread);
	});

	e2e(`a client that leaves nginx before the run\'s id is known cancels it, by ${mode}`,
		async (bench) => {
			const { remote, site, thread } = await scene(bench, {}, behindNginx);
			const [told, never] = [gate(), gate()];
			remote.mode = mode;
			remote.beforeCreated = told.opened;
			remote.afterCreated = never.opened;
			remote.nextRuns.push({ states: [{ status: 'in_progress' }], answers: [] });
			const client = site.open('POST', `/threads/${thread}/messages`, 'words');
			await eventually('the run', () => requested(remote, /\/runs$/));
			client.destroy();
			await sleep(1000);
			assert.ok(!requested(remote, /\/cancel$/));
			told.open();
			const cancelled = () => requested(remote, /\/cancel$/);
			const soon = eventually('the cancelling', cancelled);
			await within(soon, 'the cancelling', 5000);
			remote.mode = 'json';
			await assertAnswered(site, thread);
		});
}
