// Faults of a remote Assistants API, as faults.test.mjs has them for a model server: one sentence for the
// client, one cause in the log, and the thread still works.

import assert from 'node:assert/strict';
import { describe } from 'node:test';
import {
	UPSTREAM_KEY, assertSentence, e2e, freePort, newThread, say, transcript,
} from './lib.mjs';
import {
	STREAM, assertSecretsKept, endless, head, raw, rawHeld, rawReset,
} from './lib-faults.mjs';
import { assertCancelled, problem, remoteServer } from './lib-remote.mjs';
import { fromShell } from './lib-servers.mjs';
import { MARKER, status } from './lib-upstream.mjs';

const AT_ONCE = { concurrency: 12 };
const LONG = 'x'.repeat(1 << 20);
const listens = (bench, env) => bench.listen({ env });

// An event as bytes; data that is no string is printed as JSON.
function event(name, data) {
	return `event: ${name}\ndata: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;
}

// Assert that the log has one error, which names the cause.
function assertErrorOnce(bench, cause) {
	const errors = bench.logEntries().filter(({ level }) => level === 'error')
		.map(({ message }) => message.slice(0, 500));
	assert.equal(errors.length, 1, `errors in the log:\n${errors.join('\n')}`);
	assert.match(errors[0], cause);
}

// A site whose assistant exists, and a thread.
async function scene(bench, env, open = listens) {
	const remote = await remoteServer(bench);
	const site = await open(bench, { ...remote.env, ...env });
	const thread = await newThread(site);
	await assertAnswered(site, thread);
	return { remote, site, thread };
}

async function assertAnswered(site, thread) {
	const answer = await say(site, thread, 'words');
	assert.deepEqual([answer.status, answer.text.trimEnd()], [200, 'hello']);
}

// Send a message whose run cannot be created properly, and then one that works.
async function assertFault(bench, answer, code, cause, { env, open } = {}) {
	bench.expectLog(cause);
	const { remote, site, thread } = await scene(bench, env, open);
	remote.refuse = (path) => (path.endsWith('/runs') ? answer : undefined);
	const told = await say(site, thread, 'words');
	assertSentence(told, code);
	assertSecretsKept(told);
	assertErrorOnce(bench, cause);
	remote.refuse = () => undefined;
	await assertAnswered(site, thread);
	return told;
}

describe('the remote cannot be asked: 502', AT_ONCE, () => {
	for (const [name, url, cause] of [
		['nobody listens', async () => `http://127.0.0.1:${await freePort()}/v1`,
			/no connection: .*connect/i],
		['its host has no address', () => 'http://remote.invalid/v1',
			/no connection: .*remote\.invalid/],
		['it speaks plain HTTP where TLS should be',
			async (bench) => (await remoteServer(bench)).env.ASSISTANTS_UPSTREAM_URL
				.replace('http:', 'https:'),
			/TLS could not be verified: /],
	]) {
		e2e(name, async (bench) => {
			bench.expectLog(cause);
			const env = {
				ASSISTANTS_UPSTREAM_URL: await url(bench), ASSISTANTS_UPSTREAM_KEY: UPSTREAM_KEY,
			};
			const site = await bench.listen({ env });
			const told = await site.request('POST', '/threads');
			assertSentence(told, 502);
			assertSecretsKept(told);
			assertErrorOnce(bench, cause);
		});
	}
});

const page = `<p>${MARKER}, you sent ${UPSTREAM_KEY}`;
const html = (code) => status(code, { 'content-type': 'text/html' }, page);
const json = (text) => status(200, { 'content-type': 'application/json' }, text);
const words = (code, headers) => problem(code, `${MARKER}, you sent ${UPSTREAM_KEY}`, headers);
const NO_JSON = /not with a JSON object/;
const BROKE = /the stream broke off: /;

// A row: the answer to the run's creation, the client's status, the log's line, the rest.
const FAULTS = {
	'401': [words(401), 502, /answered 401: /],
	'403 in HTML': [html(403), 502, /answered 403/],
	'404 in HTML': [html(404), 502, /answered 404 with text\/html/],
	'400 in HTML': [html(400), 502, /answered 400 with text\/html/],
	'500': [words(500), 502, /answered 500: /],
	'500 in HTML': [html(500), 502, /answered 500/],
	'a long error': [problem(500, '\u{1f600}'.repeat(1 << 20)), 502, /answered 500: \u{1f600}+/u],
	'a redirect': [status(302, { location: 'http://127.0.0.1:1/' }, ''), 502, /answered 302/],
	'429 without an end': [words(429, { 'retry-after': '999999999999' }), 503, /answered 429: /],
	'503 in HTML': [
		status(503, { 'content-type': 'text/html', 'retry-after': '60' }, page), 503, /answered 503/,
	],
	'HTML with 200': [html(200), 502, NO_JSON],
	'[]': [json('[]'), 502, NO_JSON],
	'{}': [json('{}'), 502, /has no id/],
	'100,000 levels': [json('['.repeat(100_000)), 502, NO_JSON],
	'an id that is none': [json('{"id":"../../x"}'), 502, /has no id/],
	'nothing': [raw(), 502, /the connection ended before the answer/],
	'a reset': [rawReset(STREAM, 'event: x\n'), 502, /the connection ended before the answer/],
	'a stream that is none': [raw(STREAM, event('x', '{nonsense')), 502, BROKE],
	'a stream without a word': [raw(STREAM), 502, NO_JSON],
	'a stream that is done': [raw(STREAM, event('done', '[DONE]')), 502, BROKE],
	'a stream of other types': [
		raw(STREAM, event('thread.run.created', []), event('thread.message.completed', 'null'),
			event('thread.message.completed', 7), event('thread.run.in_progress', '"x"')),
		502, BROKE,
	],
	'an end of another type': [raw(STREAM, event('thread.run.completed', [])), 502, /without any text/],
	'an error in a stream': [
		raw(STREAM, event('error', { error: { message: MARKER } })), 502, new RegExp(MARKER),
	],
	'an error of another type': [raw(STREAM, event('error', { error: 7 })), 502, BROKE],
	'silence': [rawHeld(), 504, /no answer in time/, { env: { ASSISTANTS_RUN_TIMEOUT: '2' } }],
	'silence in a stream': [
		rawHeld(STREAM, event('thread.run.queued', {})), 504, /did not end in time/,
		{ env: { ASSISTANTS_RUN_TIMEOUT: '2' } },
	],
	'pings for ever': [
		endless([STREAM], () => ': ping\n\n', 100), 504, /did not end in time/,
		{ env: { ASSISTANTS_RUN_TIMEOUT: '2' } },
	],
	'a line of 100 MB': [endless([STREAM, 'data: '], () => LONG), 502, /too large/],
	'an answer without an end': [
		endless([head(200, 'Content-Type: application/json')], () => LONG), 502, /too large/,
	],
	'a header of 1 MB': [raw('HTTP/1.1 200 OK\r\nX-Long: ', LONG, '\r\n\r\n'), 502, /too large/],
	'messages without an end': [
		endless([STREAM], () => event('thread.message.completed', { text: LONG })), 502, /too large/,
	],
	'401, as CGI': [words(401), 502, /answered 401: /, { open: fromShell }],
	'HTML with 200, as CGI': [html(200), 502, NO_JSON, { open: fromShell }],
};

describe('the remote creates no run that can be followed', AT_ONCE, () => {
	for (const [name, [answer, code, cause, more]] of Object.entries(FAULTS)) {
		e2e(`${name}: ${code}`, async (bench) => {
			const told = await assertFault(bench, answer, code, cause, more);
			if (code === 503) assert.ok(Number(told.headers['retry-after']) <= 86_400);
		});
	}
});

describe('the remote\'s assistants cannot be read', AT_ONCE, () => {
	for (const [name, answer, code, cause] of [
		['401', words(401), 502, /answered 401: /],
		['500 in HTML', html(500), 502, /answered 500/],
		['404', words(404), 502, /404: /],
		['HTML with 200', html(200), 502, NO_JSON],
		['429', words(429, { 'retry-after': '60' }), 503, /answered 429: /],
	]) {
		e2e(`${name}: ${code}`, async (bench) => {
			bench.expectLog(cause);
			const remote = await remoteServer(bench);
			const site = await bench.listen({ env: remote.env });
			const thread = await newThread(site);
			remote.refuse = (path) => (path.endsWith('/assistants') ? answer : undefined);
			const told = await say(site, thread, 'words');
			assertSentence(told, code);
			assertSecretsKept(told);
			assertErrorOnce(bench, cause);
			remote.refuse = () => undefined;
			await assertAnswered(site, thread);
		});
	}
});

describe('a run whose stream breaks off, and whose polls fail', AT_ONCE, () => {
	for (const [name, answer, code, cause] of [
		['401', words(401), 502, /answered 401: /],
		['500, always', words(500), 502, /answered 500: /],
		['HTML with 200, always', html(200), 502, /cannot be polled: .*text\/html/],
		['silence', rawHeld(), 504, /did not end in time/],
	]) {
		e2e(`${name}: ${code}`, async (bench) => {
			bench.expectLog(/the run is polled/, cause);
			const more = { ASSISTANTS_RUN_TIMEOUT: name === 'silence' ? '2' : '600' };
			const { remote, site, thread } = await scene(bench, more);
			bench.expected.push(/a poll (failed|was answered)/);
			remote.mode = 'cut';
			remote.nextRuns.push({ states: [{ status: 'in_progress' }], answers: [] });
			remote.refuse = (path) => (/\/runs\/\w+$/.test(path) ? answer : undefined);
			const told = await say(site, thread, 'words');
			assertSentence(told, code);
			assertSecretsKept(told);
			assertErrorOnce(bench, cause);
			assertCancelled(remote);
			remote.mode = 'stream';
			remote.refuse = () => undefined;
			await assertAnswered(site, thread);
		});
	}
});

describe('the remote is busy or odd, and then well: 200', AT_ONCE, () => {
	e2e('503 twice', async (bench) => {
		const { remote, site, thread } = await scene(bench);
		let bad = 2;
		remote.refuse = (path) => (path.endsWith('/runs') && bad-- > 0 ? html(503) : undefined);
		await assertAnswered(site, thread);
		assert.equal(bad, -1);
	});

	for (const mode of ['json', 'stream']) {
		e2e(`NULs in the text, by ${mode}`, async (bench) => {
			const { remote, site, thread } = await scene(bench);
			remote.mode = mode;
			remote.nextRuns.push({ states: [{ status: 'completed' }], answers: ['be\0fore'] });
			assert.equal((await say(site, thread, 'words')).text, 'be\ufffdfore');
			assert.deepEqual((await transcript(site, thread)).at(-1), ['assistant', 'be\ufffdfore']);
		});
	}

	e2e('an error in the stream of a run that goes on', async (bench) => {
		bench.expectLog(new RegExp(`the run is polled: ${MARKER}`));
		const { remote, site, thread } = await scene(bench);
		const id = `run_${'0'.repeat(24)}`;
		const text = { value: 'polled', annotations: [] };
		const message = { id: 'msg_1', role: 'assistant', content: [{ type: 'text', text }] };
		const answers = [
			[/\/runs$/, raw(STREAM, event('thread.run.created', { id }),
				event('error', { error: { message: MARKER } }))],
			[/\/runs\/run_0+$/, { json: { id, status: 'completed' } }],
			[/\/messages$/, { json: { object: 'list', data: [message], has_more: false } }],
		];
		remote.refuse = (path) => answers.find(([pattern]) => pattern.test(path))?.[1];
		const told = await say(site, thread, 'words');
		assert.deepEqual([told.status, told.text], [200, 'polled']);
	});

	e2e('an end by its event, whatever status its run has', async (bench) => {
		const { remote, site, thread } = await scene(bench);
		const text = { value: 'words', annotations: [] };
		const message = { id: 'msg_1', role: 'assistant', content: [{ type: 'text', text }] };
		const answer = raw(STREAM, event('thread.message.completed', message),
			event('thread.run.in_progress', { status: 'completed' }),
			event('thread.run.completed', { status: 'failed' }));
		remote.refuse = (path) => (path.endsWith('/runs') ? answer : undefined);
		const told = await say(site, thread, 'words');
		assert.deepEqual([told.status, told.text], [200, 'words']);
	});
});
