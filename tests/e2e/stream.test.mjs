// A message answered as server-sent events, through every way of hosting.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import zlib from 'node:zlib';
import { assertSentence, e2e, eventually, newThread, say, transcript, within } from './lib.mjs';
import { behindCgi, behindCgid, behindFcgid, behindProxyFcgi } from './lib-apache.mjs';
import { remoteServer } from './lib-remote.mjs';
import { behindFcgiwrap, behindLighttpd, behindNginx, fromShell } from './lib-servers.mjs';
import {
	cutAfter, functionCalls, gate, messageEvents, modelServer, status, stream as streamed, words,
} from './lib-upstream.mjs';

const WAYS = {
	lighttpd: behindLighttpd, nginx: behindNginx, mod_proxy_fcgi: behindProxyFcgi,
	mod_fcgid: behindFcgid, mod_cgid: behindCgid, mod_cgi: behindCgi, fcgiwrap: behindFcgiwrap,
};
const EVENTS = 'text/event-stream';

// The blocks of a stream of events as they come: {event, data} each, or {comment}. The first one, a comment
// long enough for mod_deflate, is left out.
async function* blocksOf(readable) {
	let rest = '', opened = false;
	for await (const piece of readable.setEncoding('utf8')) {
		const blocks = (rest + piece).split('\n\n');
		rest = blocks.pop();
		for (const block of blocks) {
			if (!opened) {
				assert.match(block, /^: .{68,}$/);
				opened = true;
				continue;
			}
			const [, event, data] = /^(?:event: (.*)\n)?data: (.*)$/.exec(block) ?? [];
			if (data !== undefined) yield { event, data: JSON.parse(data) };
			else yield { comment: block };
		}
	}
	assert.equal(rest, '', 'the stream ends with a whole event');
}

/** Send a message and read the answer as events; `.next()` is the next one, `.leave()` leaves. */
async function stream(bench, site, thread, text, headers = {}) {
	const request = http.request({
		host: '127.0.0.1', port: site.port, method: 'POST', agent: false,
		path: `${site.base}/threads/${thread}/messages`,
		headers: { accept: EVENTS, 'content-type': 'text/plain', ...headers },
	});
	request.end(text);
	const [response] = await within(once(request, 'response'), 'the head');
	assert.equal(response.statusCode, 200);
	assert.match(response.headers['content-type'], /^text\/event-stream/);
	const plain = response.headers['content-encoding'] === 'gzip'
		? response.pipe(zlib.createGunzip()) : response;
	return reader(blocksOf(plain), () => request.destroy());
}

function reader(blocks, leave) {
	const next = async () => (await within(blocks.next(), 'an event')).value;
	const rest = async () => {
		const all = [];
		for (let one = await next(); one; one = await next()) all.push(one);
		return all;
	};
	return { next, rest, leave };
}

for (const [way, open] of Object.entries(WAYS)) {
	e2e(`${way}: a piece comes while the model holds back the next`, async (bench) => {
		const model = await modelServer(bench);
		const held = gate();
		model.queue.push(words('Subtract 11 first, “then” divide.', held.opened));
		const site = await open(bench, model.env);
		const thread = await newThread(site);
		const answer = await stream(bench, site, thread, 'words');
		assert.deepEqual(await answer.next(), { event: undefined, data: { text: 'Subtrac' } });
		held.open();
		const rest = await answer.rest();
		const done = rest.pop();
		assert.equal(done.event, 'done');
		const text = 'Subtract 11 first, “then” divide.';
		assert.equal(['Subtrac', ...rest.map(({ data }) => data.text)].join(''), text);
		assert.equal(done.data.text, text);
		assert.deepEqual(await transcript(site, thread), [['user', 'words'], ['assistant', text]]);
	});
}

for (const [way, open] of Object.entries(WAYS)) {
	e2e(`${way}: a server that compresses everything holds no piece back`, async (bench) => {
		const model = await modelServer(bench);
		const held = gate();
		model.queue.push(words('Subtract 11 first.', held.opened));
		const site = await open(bench, model.env, { compress: true });
		const gzip = { 'accept-encoding': 'gzip' };
		const answer = await stream(bench, site, await newThread(site), 'words', gzip);
		assert.deepEqual(await answer.next(), { event: undefined, data: { text: 'Subtrac' } });
		held.open();
		assert.equal((await answer.rest()).at(-1).data.text, 'Subtract 11 first.');
	});
}

e2e('the end is the JSON answer, that takes the place of the pieces', async (bench) => {
	const model = await modelServer(bench);
	const site = await behindNginx(bench, model.env);
	const thread = await newThread(site);
	const done = (await (await stream(bench, site, thread, 'words')).rest()).pop();
	const { overwrite, ...data } = done.data;
	assert.equal(overwrite, true);
	const json = (await say(site, thread, 'words', { accept: 'application/json' })).json;
	assert.deepEqual(Object.keys(data), Object.keys(json));
	assert.deepEqual([data.text, data.thread_id, data.usage], [json.text, json.thread_id, json.usage]);
});

e2e('a call of a tool is an event with the name alone', async (bench) => {
	const model = await modelServer(bench);
	model.queue.push(functionCalls(['call_1', 'add_numbers', '{"a": 1, "b": 2}']), words('It is 3.'));
	const site = await behindLighttpd(bench, { ...model.env, ASSISTANTS_TOOLS_DIR: bench.exampleTools() });
	const events = await (await stream(bench, site, await newThread(site), 'words')).rest();
	assert.deepEqual(events[0], { event: 'tool', data: { name: 'add_numbers' } });
	assert.equal(events.at(-1).data.text, 'It is 3.');
});

e2e('silence is filled with pings', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(async (response) => {
		await held.opened;
		await words('hello')(response);
	});
	const site = await behindProxyFcgi(bench, model.env);
	const answer = await stream(bench, site, await newThread(site), 'words');
	assert.deepEqual(await answer.next(), { comment: ': ping' });
	assert.deepEqual(await answer.next(), { comment: ': ping' });
	held.open();
	assert.equal((await answer.rest()).at(-1).data.text, 'hello');
});

for (const [way, open] of Object.entries(WAYS)) {
	e2e(`${way}: leaving a stream ends the request to the model`, async (bench) => {
		const model = await modelServer(bench);
		model.queue.push(words('hello you', new Promise(() => {})));
		const site = await open(bench, model.env);
		const thread = await newThread(site);
		const answer = await stream(bench, site, thread, 'words');
		await answer.next();
		answer.leave();
		await within(model.requests[0].left, 'the request to the model ends', 20_000);
		await eventually('the thread is free', async () =>
			(await say(site, thread, 'again')).text.trimEnd() === 'hello');
	});
}

e2e('a failure before the first word is answered as without a stream', async (bench) => {
	bench.expectLog(/answered 500/);
	const model = await modelServer(bench);
	model.queue.push(status(500));
	const site = await bench.listen({ env: model.env });
	const thread = await newThread(site);
	const accept = { accept: EVENTS };
	assertSentence(await say(site, thread, 'words', accept), 502);
	assertSentence(await say(site, thread, '  ', accept), 400);
	assertSentence(await say(site, `thread_${'0'.repeat(24)}`, 'words', accept), 404);
	for (const [method, uri] of [['POST', '/threads'], ['GET', `/threads/${thread}/messages`]]) {
		assert.equal((await site.request(method, uri, { headers: accept })).status, 406);
	}
});

e2e('a later failure is an event, and the next message works', async (bench) => {
	bench.expectLog(/run: /);
	const model = await modelServer(bench);
	const events = messageEvents({ type: 'output_text', text: 'Subtract 11 first.', annotations: [] });
	model.queue.push(cutAfter(6, events));
	const site = await behindNginx(bench, model.env);
	const thread = await newThread(site);
	const all = await (await stream(bench, site, thread, 'words')).rest();
	assert.match(all.pop().data.error, /^The assistant [^\n]*\.$/);
	assert.ok(all.length > 0 && all.every(({ data }) => typeof data.text === 'string'));
	assert.equal((await say(site, thread, 'again')).text.trimEnd(), 'hello');
});

e2e('a polled remote\'s text comes in whole messages, separated as in plain text', async (bench) => {
	const remote = await remoteServer(bench);
	remote.run = { states: [{ status: 'completed' }], answers: ['one\nmore', 'two'] };
	const site = await behindNginx(bench, remote.env);
	const all = await (await stream(bench, site, await newThread(site), 'words')).rest();
	const { data } = all.pop();
	assert.equal(all.map((one) => one.data.text).join(''), 'one\nmore\n\ntwo');
	assert.equal(data.text, 'one\nmore\n\ntwo');
});

// The text of the pieces, and that of the end.
async function wordsOf(answer) {
	const all = (await answer.rest()).filter(({ comment }) => comment === undefined);
	const { data } = all.pop();
	return [all.map((one) => one.data.text).join(''), data.text];
}

e2e('a remote\'s stream that breaks off late does not repeat text', async (bench) => {
	bench.expectLog(/broke off/);
	const remote = await remoteServer(bench);
	remote.mode = 'cut late';
	remote.run.answers = ['one\nmore', 'two'];
	const site = await behindNginx(bench, remote.env);
	const answer = await stream(bench, site, await newThread(site), 'words');
	assert.deepEqual(await wordsOf(answer), ['one\nmore\n\ntwo', 'one\nmore\n\ntwo']);
});

const PARTS = ['one', 'and two'].map((text) => ({ type: 'output_text', text, annotations: [] }));
const PARTED = ['one\n\nand two', 'one\n\nand two'];

e2e('the parts of a message are separated as in the text', async (bench) => {
	const model = await modelServer(bench);
	const [first, second] = PARTS.map((part) => messageEvents(part));
	const end = first.findIndex(({ type }) => type === 'response.output_item.done');
	const more = second.filter(({ content_index }) => content_index === 0)
		.map((event) => ({ ...event, content_index: 1 }));
	first[end].item.content = PARTS;
	model.queue.push(streamed([...first.slice(0, end), ...more, ...first.slice(end)]));
	const site = await behindNginx(bench, model.env);
	const answer = await stream(bench, site, await newThread(site), 'words');
	assert.deepEqual(await wordsOf(answer), PARTED);
});

e2e('those of a whole message, too', async (bench) => {
	const remote = await remoteServer(bench);
	remote.run.answers = [PARTS];
	const site = await behindNginx(bench, remote.env);
	const answer = await stream(bench, site, await newThread(site), 'words');
	assert.deepEqual(await wordsOf(answer), PARTED);
});

e2e('there are pings, too, while the names of files are asked for', async (bench) => {
	const remote = await remoteServer(bench);
	remote.mode = 'stream';
	const annotations = [{
		type: 'file_citation', text: '[x]', start_index: 5, end_index: 8,
		file_citation: { file_id: 'file-A' },
	}];
	remote.run.answers = [[{ text: 'hello[x]', annotations }]];
	remote.refuse = (uri) => uri.includes('/files/') ? async (response) => {
		await sleep(3800);
		response.end(JSON.stringify({ id: 'file-A', object: 'file', filename: 'a.pdf' }));
	} : undefined;
	const site = await behindNginx(bench, remote.env);
	const all = await (await stream(bench, site, await newThread(site), 'words')).rest();
	const { data } = all.pop();
	assert.equal(data.citations[0].name, 'a.pdf');
	assert.deepEqual(all.pop(), { comment: ': ping' });
});

e2e('CGI from a shell: a piece comes while the model holds back the next', async (bench) => {
	const model = await modelServer(bench);
	const held = gate();
	model.queue.push(words('Subtract 11 first.', held.opened));
	const site = await fromShell(bench, model.env);
	const child = bench.startCgi({
		env: model.env, method: 'POST', path: `/threads/${await newThread(site)}/messages`,
		body: 'words', headers: { accept: EVENTS, 'content-type': 'text/plain' },
	});
	let written = '';
	child.stdout.on('data', (piece) => { written += piece; });
	await eventually('the first piece', () => written.endsWith('data: {"text":"Subtrac"}\n\n'));
	held.open();
	await child.ended;
	assert.match(written, /^Status: 200 OK\r\n[^]*\nevent: done\ndata: {.*"text":"Subtract 11 first."/);
});
