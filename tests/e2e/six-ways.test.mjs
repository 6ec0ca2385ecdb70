// What the program answers, with the same tests for each way of hosting: CGI from a shell, lighttpd, nginx,
// and three of Apache's modules; and, for Apache's fourth module and for fcgiwrap, what a web server can
// break most easily. The offline model answers.

import assert from 'node:assert/strict';
import { assertSentence, e2e, newThread, say, transcript } from './lib.mjs';
import { behindCgi, behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { behindFcgiwrap, behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';

const WORDS = 'I need to solve 3x + 11 = 14';
// The Assistants API's bound, in characters.
const TEXT_MAX = 256_000;
const FORM = 'application/x-www-form-urlencoded';
const UNKNOWN = `thread_${'0'.repeat(24)}`;
const JSON_HEADERS = { accept: 'application/json' };

async function conversation(site) {
	const created = await site.request('POST', '/threads');
	assert.equal(created.status, 201);
	assert.match(created.headers['content-type'], /^text\/plain/);
	assert.match(created.text, /^thread_[A-Za-z0-9]{24}$/);
	assert.equal(created.headers.location, `${site.base}/threads/${created.text}`);

	const messages = `/threads/${created.text}/messages`;
	const headers = { 'content-type': FORM };
	const answered = await site.request('POST', messages, { headers, body: WORDS });
	assert.equal(answered.status, 200, answered.text);
	assert.match(answered.headers['content-type'], /^text\/plain/);
	assert.match(answered.text, /\S/);

	const read = await site.request('GET', messages);
	assert.equal(read.status, 200);
	const both = `user: ${WORDS}\n\nassistant: ${answered.text}`;
	assert.equal(read.text.trimEnd(), both.trimEnd());

	const deleted = await site.request('DELETE', `/threads/${created.text}`);
	assert.deepEqual([deleted.status, deleted.text], [204, '']);
	assertSentence(await site.request('GET', messages), 404);
	assertSentence(await say(site, created.text, 'again'), 404);
	assertSentence(await site.request('DELETE', `/threads/${created.text}`), 404);
}

async function jsonShapes(site) {
	const created = await site.request('POST', '/threads', { headers: JSON_HEADERS });
	assert.match(created.headers['content-type'], /^application\/json/);
	const { id } = created.json;
	assert.deepEqual(created.json, { id, threadId: id });

	const first = await say(site, id, WORDS, JSON_HEADERS);
	assert.equal(first.status, 200, first.text);
	const { thread_id, run_id, text, messages, citations, usage, ...rest } = first.json;
	assert.deepEqual(rest.id === undefined ? rest : Object.keys(rest), ['id']);
	assert.equal(thread_id, id);
	assert.match(run_id, /^run_[A-Za-z0-9]{24}$/);
	assert.match(text, /\S/);
	assert.equal(messages.length, 1);
	assert.match(messages[0].id, /^msg_[A-Za-z0-9]{24}$/);
	assert.deepEqual(messages[0], { id: rest.id, text });
	assert.deepEqual(citations, []);
	assert.notEqual(usage, undefined);

	const path = `/threads/${id}/messages`;
	const listed = await site.request('GET', path, { headers: JSON_HEADERS });
	assert.match(listed.headers['content-type'], /^application\/json/);
	assert.deepEqual(Object.keys(listed.json), ['messages']);
	const [asked, answered] = listed.json.messages;
	assert.deepEqual(Object.keys(asked).sort(), ['created_at', 'id', 'role', 'text']);
	assert.ok(Math.abs(asked.created_at - Date.now() / 1000) < 60, 'times are Unix seconds');
	assert.deepEqual([asked.role, asked.text], ['user', WORDS]);
	assert.deepEqual([answered.role, answered.id, answered.text], ['assistant', rest.id, text]);
}

async function jsonBodies(site) {
	const thread = await newThread(site);
	const send = (body) => say(site, thread, body, { 'content-type': 'application/json' });
	const bodies = [
		'{"text":"one"}',
		'{"messages":[{"role":"user","text":"two"}]}',
		'{"messages":[{"role":"user","text":"old"},{"role":"assistant","text":"a"},'
			+ '{"role":"user","text":"three"}]}',
	];
	for (const body of bodies) assert.equal((await send(body)).status, 200, body);
	const said = (await transcript(site, thread)).filter(([role]) => role === 'user');
	assert.deepEqual(said.map(([, text]) => text), ['one', 'two', 'three']);

	const wrong = [
		'', '{', '[]', '"words"', '{}', 'null', '{"text":7}', '{"text":""}',
		'{"text":" \\n"}', '{"text":"a\\u0000b"}',
		'{"messages":{}}', '{"messages":[]}', '{"messages":["words"]}',
		'{"messages":[{"role":"assistant","text":"a"}]}', '{"messages":[{"role":"user"}]}',
		'{"messages":[{"role":"user","text":["a"]}]}', '{"text":"one"} {"text":"two"}',
	];
	for (const body of wrong) assert.equal((await send(body)).status, 400, body);
	assert.equal((await transcript(site, thread)).length, 6, 'nothing wrong was stored');
}

async function methods(site) {
	const thread = await newThread(site);
	const head = await site.request('HEAD', '/health');
	assert.deepEqual([head.status, head.text], [200, '']);
	assert.equal((await site.request('GET', '/health')).status, 200);
	const rows = [
		['/threads', ['POST']],
		[`/threads/${thread}`, ['DELETE']],
		[`/threads/${thread}/messages`, ['GET', 'HEAD', 'POST']],
		['/health', ['GET', 'HEAD']],
	];
	for (const [path, allowed] of rows) {
		const options = await site.request('OPTIONS', path);
		assert.ok(options.status === 204 || options.status === 200, `OPTIONS ${path}`);
		const refused = await site.request('PUT', path, { body: 'a' });
		assert.equal(refused.status, 405, `PUT ${path}`);
		for (const { headers } of [options, refused]) {
			const listed = headers.allow.split(/, */).sort();
			assert.deepEqual(listed.filter((one) => one !== 'OPTIONS'), allowed, path);
		}
	}
}

async function negotiation(site) {
	const thread = await newThread(site);
	const health = (accept) => site.request('GET', '/health', { headers: { accept } });
	const answers = [
		['*/*', /^text\/plain/],
		['text/*', /^text\/plain/],
		['application/json', /^application\/json/],
		['text/plain;q=0.1, application/json', /^application\/json/],
		['application/json;q=0.5, text/plain;q=0.6', /^text\/plain/],
		['image/png, */*;q=0.1', /^text\/plain/],
	];
	for (const [accept, type] of answers) {
		const answer = await health(accept);
		assert.equal(answer.status, 200, accept);
		assert.match(answer.headers['content-type'], type, accept);
	}
	assert.equal((await health('image/png')).status, 406);
	assert.equal((await health('text/plain;q=0, application/json;q=0')).status, 406);
	const typed = (type) => say(site, thread, 'words', { 'content-type': type });
	for (const type of ['image/png', 'application/xml', 'multipart/form-data; boundary=b']) {
		assert.equal((await typed(type)).status, 415, type);
	}
	assert.equal((await typed('text/plain; charset=utf-8')).status, 200);
}

async function refusals(site) {
	const thread = await newThread(site);
	const messages = `/threads/${thread}/messages`;
	const post = (body) => site.request('POST', messages, { body });
	const bodies = ['', ' \t\r\n', Buffer.from([0x68, 0xff, 0xfe]), 'a\0b'];
	for (const body of bodies) assertSentence(await post(body), 400);
	assertSentence(await say(site, 'undefined', 'words'), 400);
	assertSentence(await site.request('GET', '/threads/thread/messages'), 400);
	assertSentence(await site.request('DELETE', '/threads/asst_1'), 400);
	assertSentence(await say(site, UNKNOWN, 'words'), 404);
	assertSentence(await site.request('GET', `/threads/${UNKNOWN}/messages`), 404);
	for (const path of ['/thread', '/threads/', `${messages}/`, '/health/x', '/Health']) {
		assertSentence(await site.request('GET', path), 404);
	}
	const tooLarge = await post('a'.repeat(2 << 20));
	assertSentence(tooLarge, 413);
	assert.match(tooLarge.text, /ASSISTANTS_MAX_BODY/, 'the program\'s own words');
	assertSentence(await post('a'.repeat(TEXT_MAX + 1)), 413);
	assert.deepEqual(await transcript(site, thread), [], 'nothing of it was stored');
}

async function problems(site) {
	const wanted = [
		[() => site.request('GET', '/nowhere', { headers: JSON_HEADERS }), 404],
		[() => site.request('PUT', '/threads', { headers: JSON_HEADERS, body: 'a' }), 405],
		[() => say(site, UNKNOWN, 'words', JSON_HEADERS), 404],
		[() => say(site, 'undefined', 'words', JSON_HEADERS), 400],
	];
	for (const [ask, status] of wanted) {
		const answer = await ask();
		assert.equal(answer.status, status);
		assert.match(answer.headers['content-type'], /^application\/problem\+json/);
		assert.equal(answer.json.status, status);
		assert.match(answer.json.title ?? answer.json.detail, /\w/);
	}
}

async function requestIds(site) {
	const thread = await newThread(site);
	const answers = [
		await site.request('GET', '/health'), await site.request('HEAD', '/health'),
		await site.request('OPTIONS', '/threads'), await site.request('GET', '/nowhere'),
		await site.request('DELETE', '/threads'), await say(site, thread, ''),
		await say(site, thread, 'words'),
		await site.request('DELETE', `/threads/${thread}`),
	];
	const ids = answers.map(({ headers }) => headers['x-request-id']);
	for (const id of ids) assert.match(id, /^[\w-]{8,}$/);
	assert.equal(new Set(ids).size, ids.length, 'each request has an id of its own');
}

const WAYS = [
	['CGI', fromShell], ['lighttpd', behindLighttpd], ['nginx', behindNginx],
	['mod_proxy_fcgi', behindProxyFcgi], ['mod_fcgid', behindFcgid], ['mod_cgid', behindCgid],
];
const MORE_WAYS = [['mod_cgi', behindCgi], ['fcgiwrap', behindFcgiwrap]];
const CLAIMS = [
	['a conversation in plain text', conversation],
	['answers in JSON', jsonShapes],
	['messages in JSON', jsonBodies],
	['methods, HEAD, OPTIONS and Allow', methods],
	['what is accepted, and what is taken', negotiation],
	['what is refused, in one sentence', refusals],
	['errors as application/problem+json', problems],
	['a request id on every answer', requestIds],
];

const MORE_CLAIMS = CLAIMS.filter(([, body]) =>
	[conversation, methods, refusals, problems].includes(body));

for (const [ways, claims] of [[WAYS, CLAIMS], [MORE_WAYS, MORE_CLAIMS]]) {
	for (const [way, open] of ways) {
		for (const [claim, body] of claims) {
			e2e(`${way}: ${claim}`, async (bench) => body(await open(bench)));
		}
	}
}

e2e('lighttpd: the two requests of the README, by curl', async (bench) => {
	const site = await behindLighttpd(bench);
	const script = `set -e
		id=$(curl -sX POST localhost:$PORT/threads)
		curl -s --data '${WORDS}' localhost:$PORT/threads/$id/messages`;
	const answer = await bench.shell(script, { PORT: String(site.port) });
	assert.match(answer, /[a-z]{3}/);
});

e2e('a text\'s length is counted in characters', async (bench) => {
	const server = await bench.listen({ env: { ASSISTANTS_MAX_BODY: '4MiB' } });
	const thread = await newThread(server);
	const longest = 'a🎓'.repeat(TEXT_MAX / 2);
	const sayJson = (text) => {
		const type = { 'content-type': 'application/json' };
		return say(server, thread, JSON.stringify({ text }), type);
	};
	assertSentence(await say(server, thread, `${longest}é`), 413);
	assertSentence(await sayJson(`${longest}é`), 413);
	assert.equal((await say(server, thread, longest)).status, 200);
	assert.equal((await sayJson(longest)).status, 200);
	const said = (await transcript(server, thread)).filter(([role]) => role === 'user');
	assert.ok(said.length === 2 && said.every(([, text]) => text === longest));
});

e2e('mounted below a prefix, Location has it', async (bench) => {
	const server = await bench.listen();
	for (const scriptName of ['/assistant', '/a/b/index.cgi']) {
		const below = (method, path) => server.request(method, path, { scriptName });
		const { status, headers, text } = await below('POST', '/threads');
		assert.equal(status, 201);
		assert.equal(headers.location, `${scriptName}/threads/${text}`);
		assert.equal((await below('DELETE', `/threads/${text}`)).status, 204);
	}
});
