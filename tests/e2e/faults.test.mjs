// Faults of a model server below its words: connections, TLS, bytes that are no answer, streams that break
// off, silence, and far too much. Each time the client gets one sentence, the log one cause, and the thread
// still works. status.test.mjs has the table of statuses.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe } from 'node:test';
import zlib from 'node:zlib';
import { KEY, assertSentence, e2e, freePort, newThread, say, start, transcript } from './lib.mjs';
import {
	STREAM, assertCauseOnce, assertSecretsKept, assertThreadLives, endless, head, raw, rawHeld,
	rawReset,
} from './lib-faults.mjs';
import { fromShell } from './lib-servers.mjs';
import { MARKER, gate, messageEvents, modelServer, sse, status } from './lib-upstream.mjs';

const MEGABYTE = 1 << 20;
const LONG = 'x'.repeat(MEGABYTE);
// These mostly wait.
const AT_ONCE = { concurrency: 12 };

// Longer than the tries of a connection take, if there are not too many.
const SOON = { env: { ASSISTANTS_RUN_TIMEOUT: '2' } };

const said = (text) => messageEvents({ type: 'output_text', text, annotations: [] });
const delta = (fields) => sse([{ type: 'response.output_text.delta', ...fields }]);
const listens = (bench, env) => bench.listen({ env });

// Send one message while the model server misbehaves, and one after that.
async function assertFault(bench, answer, code, cause, { env = {}, open = listens } = {}) {
	bench.expectLog(cause);
	const model = await modelServer(bench);
	model.queue.push(answer);
	const site = await open(bench, { ...model.env, ...env });
	const thread = await newThread(site);
	const told = await say(site, thread, 'first words');
	assertSentence(told, code);
	assertSecretsKept(told);
	assertCauseOnce(bench, cause);
	await assertThreadLives(site, thread);
	return { site, thread, told };
}

// --- no answer at all ---

// A self-signed certificate in a file; `openssl req` cannot make an expired one.
function certificate(bench, { ends = '20991231235959Z', name = 'IP:127.0.0.1' } = {}) {
	const [key, request, file] = ['key', 'request', 'cert']
		.map((kind) => path.join(bench.dir, kind));
	const authority = bench.file('authority', `[ca]
default_ca = here
[here]
database = ${bench.file('authority-database', '')}
new_certs_dir = ${bench.dir}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
`);
	const openssl = (...args) => execFileSync('openssl', args, { stdio: 'ignore' });
	openssl('req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
		'-subj', '/CN=a model server', '-addext', `subjectAltName=${name}`, '-keyout', key,
		'-out', request);
	openssl('ca', '-batch', '-selfsign', '-config', authority, '-in', request, '-keyfile', key,
		'-startdate', '20200101000000Z', '-enddate', ends, '-notext', '-out', file);
	return { key: fs.readFileSync(key), cert: fs.readFileSync(file), file };
}

// A suspended server process: the kernel accepts connections up to the backlog.
async function stoppedServer(bench, backlog) {
	const port = await freePort();
	const script = `net.createServer().listen(${port}, '127.0.0.1', ${backlog},
		() => console.log('listening'))`;
	const child = start(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
	bench.onClose(() => {
		child.kill('SIGKILL');
		return child.ended;
	});
	await once(child.stdout, 'data');
	child.kill('SIGSTOP');
	return { port, url: `http://127.0.0.1:${port}/v1` };
}

// Fills the backlog.
async function fillBacklog(bench, port, count) {
	for (let i = 0; i < count; i++) {
		const connection = net.connect(port, '127.0.0.1');
		bench.onClose(() => connection.destroy());
		connection.once('error', () => {});
	}
}

// A row returns OPENAI_BASE_URL, and other variables that it needs.
const UNREACHED = {
	'connections are refused': [
		async () => ({ OPENAI_BASE_URL: `http://127.0.0.1:${await freePort()}/v1`, ...SOON.env }),
		502, /no connection: .*connect/i,
	],
	'its host has no address': [
		() => ({ OPENAI_BASE_URL: 'http://model.invalid/v1' }), 502, /no connection: .*model\.invalid/,
	],
	'its certificate is self-signed': [
		async (bench) => {
			const { url } = await modelServer(bench, { tls: certificate(bench) });
			return { OPENAI_BASE_URL: url };
		}, 502, /TLS could not be verified: .*certificate/,
	],
	'its certificate has expired': [
		async (bench) => {
			const tls = certificate(bench, { ends: '20210101000000Z' });
			const { url } = await modelServer(bench, { tls });
			return { OPENAI_BASE_URL: url, ASSISTANTS_CA_FILE: tls.file };
		}, 502, /TLS could not be verified: .*expired/,
	],
	'its certificate is for another host': [
		async (bench) => {
			const tls = certificate(bench, { name: 'DNS:model.example' });
			const { url } = await modelServer(bench, { tls });
			return { OPENAI_BASE_URL: url, ASSISTANTS_CA_FILE: tls.file };
		}, 502, /TLS could not be verified: .*(host name|certificate)/,
	],
	'it speaks plain HTTP where TLS should be': [
		async (bench) => {
			const { url } = await modelServer(bench);
			return { OPENAI_BASE_URL: url.replace('http:', 'https:') };
		}, 502, /TLS could not be verified: /,
	],
	'it speaks TLS where plain HTTP should be': [
		async (bench) => {
			const { url } = await modelServer(bench, { tls: certificate(bench) });
			return { OPENAI_BASE_URL: url.replace('https:', 'http:') };
		}, 502, /the connection ended before the answer: /,
	],
	'it takes no connection off its socket': [
		async (bench) => {
			const { url } = await stoppedServer(bench, 100);
			return { OPENAI_BASE_URL: url, ...SOON.env };
		}, 504, /did not answer in time/,
	],
	'its socket is full of connections': [
		async (bench) => {
			const { url, port } = await stoppedServer(bench, 1);
			await fillBacklog(bench, port, 10);
			return { OPENAI_BASE_URL: url, ...SOON.env };
		}, 504, /did not answer in time/,
	],
};

async function assertUnreached(bench, [place, code, cause], open) {
	bench.expectLog(cause);
	const env = { OPENAI_API_KEY: KEY, ...await place(bench) };
	const site = await open(bench, env);
	const thread = await newThread(site);
	const told = await say(site, thread, 'first words');
	assertSentence(told, code);
	assertSecretsKept(told);
	assertCauseOnce(bench, cause);
	await site.stop?.();
	const model = await modelServer(bench);
	await assertThreadLives(await open(bench, model.env), thread);
}

describe('the model server cannot be asked', AT_ONCE, () => {
	for (const [name, row] of Object.entries(UNREACHED)) {
		e2e(`${name}: ${row[1]}`, (bench) => assertUnreached(bench, row, listens));
	}
});

// --- busy ---

const httpDate = (seconds) => new Date(Date.now() + seconds * 1000).toUTCString();
const busy = (code, after) => status(code, after === undefined ? {} : { 'retry-after': after });

describe('the model server is busy, and then well: 200', AT_ONCE, () => {
	for (const [name, first, at_least_ms] of [
		['seconds', () => [busy(429, '1')], 1000],
		['a date', () => [busy(429, httpDate(2))], 1000],
		['a date of the past', () => [busy(429, httpDate(-1000))], 0],
		['nothing', () => [busy(429)], 0],
		['a word', () => [busy(429, 'soon')], 0],
		['503 twice', () => [busy(503), busy(503, '0')], 0],
	]) {
		e2e(name, async (bench) => {
			const model = await modelServer(bench);
			const server = await bench.listen({ env: model.env });
			const thread = await newThread(server);
			const begun = Date.now();
			model.queue.push(...first());
			const tries = model.queue.length + 1;
			const told = await say(server, thread, 'first words');
			assert.deepEqual([told.status, told.text.trimEnd()], [200, 'hello']);
			assert.equal(model.requests.length, tries);
			assert.ok(Date.now() - begun >= at_least_ms, 'Retry-After was waited for');
			await assertThreadLives(server, thread);
		});
	}
});

describe('the model server is busy for long: 503, without a wait', AT_ONCE, () => {
	for (const [name, after, least, most] of [
		['longer than anybody waits here', '21', 21, 21],
		['without an end', '999999999999', 86_400, 86_400],
		['until a date of tomorrow', httpDate(50_000), 49_000, 50_000],
		['until a date far away', 'Thu, 31 Dec 2099 23:59:59 GMT', 86_400, 86_400],
	]) {
		e2e(name, async (bench) => {
			const answer = busy(429, after);
			const { told } = await assertFault(bench, answer, 503, /answered 429: /);
			assert.match(told.headers['retry-after'], /^\d+$/);
			const seconds = Number(told.headers['retry-after']);
			assert.ok(seconds >= least && seconds <= most, `${seconds}`);
		});
	}
});

// --- answers that are none ---

const json = (value) => {
	const text = typeof value === 'string' ? value : JSON.stringify(value);
	return status(200, { 'content-type': 'application/json' }, text);
};
const chat = {
	id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'a-model',
	choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: MARKER } }],
};
const NO_RESPONSE = /which is no response of a model/;
const NO_END = /stream ended before its answer did/;
const NO_JSON = /an event that is not JSON/;
const stream = (...texts) => raw(STREAM, ...texts);
const ended = (response) => sse([{ type: 'response.completed', response }]);

const NONSENSE = {
	'HTML with 200': [
		status(200, { 'content-type': 'text/html' }, `<p>${MARKER}`), /text\/html/,
	],
	'JSON: []': [json([]), NO_RESPONSE],
	'JSON: a string': [json('"x"'), NO_RESPONSE],
	'JSON: {}': [json({}), NO_RESPONSE],
	'JSON: null': [json('null'), NO_RESPONSE],
	'JSON: a chat completion': [json(chat), NO_RESPONSE],
	'JSON: an error with 200': [json({ error: { message: MARKER } }), new RegExp(MARKER)],
	'JSON: an error in words with 200': [json({ error: MARKER }), new RegExp(MARKER)],
	'JSON: 100,000 levels': [json(`${'['.repeat(100_000)}${']'.repeat(100_000)}`), NO_RESPONSE],
	'JSON: an output that is no array': [json({ output: 'words' }), NO_RESPONSE],
	'JSON: an output of numbers': [json({ output: [1, null, 'x'] }), /without any text/],
	'JSON: NULs': [json('\0\0\0'), NO_RESPONSE],
	'no type': [status(200, {}, 'words'), /without a type/],
	'204': [raw(head(204)), NO_RESPONSE],
	'HTTP 0.9': [raw('words\n'), /the connection ended before the answer: /],
	'an interim answer, and no other': [raw(head(103)), /./],
	'a stream of other types': [
		stream('data: []\n\n', 'data: "x"\n\n', 'data: 7\n\n', 'data: null\n\n'), NO_END,
	],
	'a stream of a chat completion': [
		stream(`data: ${JSON.stringify(chat)}\n\n`, 'data: [DONE]\n\n'), NO_END,
	],
	'a stream of events without types': [stream('data: {"delta":"words"}\n\n'), NO_END],
	'a stream of unknown events': [stream(sse([{ type: 'response.unknown' }])), NO_END],
	'a stream 100,000 levels deep': [stream(`data: ${'['.repeat(100_000)}\n\n`), NO_JSON],
	'a type that is a number': [stream('data: {"type":7}\n\n'), NO_END],
	'a delta that is a number': [stream(delta({ delta: 7 }), ended({})), /without any text/],
	'a delta that is an object': [stream(delta({ delta: {} }), ended({})), /without any text/],
	'an end without a response': [stream('data: {"type":"response.completed"}\n\n'), /without any text/],
	'an end whose response is a list': [stream(ended([])), /without any text/],
	'an end whose output is no array': [stream(ended({ output: 'words' })), /without any text/],
	'an item that is a string': [
		stream(sse([{ type: 'response.output_item.done', item: 'words' }]), ended({})),
		/without any text/,
	],
	'a message whose content is null': [
		stream(ended({ output: [{ type: 'message', content: null }] })), /without any text/,
	],
	'a message whose content is text': [
		stream(ended({ output: [{ type: 'message', content: 'words' }] })), /without any text/,
	],
	'an error without any text': [stream('data: {"type":"error"}\n\n'), /no reason/],
	'an error of the wrong types': [
		stream('data: {"type":"error","code":7,"message":[],"error":8}\n\n'), /no reason/,
	],
	'invalid UTF-8 in the words': [
		stream(Buffer.from('data: {"type":"response.output_text.delta","delta":"\xff\xfe"}\n\n',
			'latin1')), NO_JSON,
	],
	'invalid UTF-8 in an error': [
		status(401, {}, Buffer.from(`{"error":{"message":"\xff${MARKER}"}}`, 'latin1')),
		/answered 401: \{"error":\{"message":"\ufffdwords/,
	],
	'a long error': [
		status(401, {}, JSON.stringify({ error: { message: '\u{1f600}'.repeat(MEGABYTE) } })),
		/answered 401: \u{1f600}+/u,
	],
	'gzip that is none': [
		raw(head(200, 'Content-Type: text/event-stream', 'Content-Encoding: gzip'), 'words'),
		/./,
	],
	'a coding that nobody knows': [
		raw(head(200, 'Content-Type: text/event-stream', 'Content-Encoding: words'), 'words'),
		/encoding/,
	],
};

describe('what the model server answers is no answer: 502', AT_ONCE, () => {
	for (const [name, [answer, cause]] of Object.entries(NONSENSE)) {
		e2e(name, async (bench) => { await assertFault(bench, answer, 502, cause); });
	}
});

// --- cut ---

const CUT = /the connection ended before the answer: /;
const euro = Buffer.from(delta({ delta: 'a €' }));
const inEuro = euro.subarray(0, euro.indexOf(0xe2) + 1);
const events = said('a beginning that is cut');
const unended = sse(events.slice(0, -1));
const CHUNKED = head(200, 'Content-Type: text/event-stream', 'Transfer-Encoding: chunked');
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

const CUTS = {
	'in its head': [
		raw('HTTP/1.1 200 OK\r\nContent-Ty'), /the connection ended before the answer — POST /,
	],
	'before its head': [raw(), CUT],
	'in a character': [raw(STREAM, sse(events.slice(0, 6)), inEuro), NO_END],
	'in a line': [raw(STREAM, sse(events.slice(0, 6)), 'data: {"type":"resp'), NO_END],
	'after a line': [raw(STREAM, sse(events).slice(0, -1)), NO_END],
	'before its last event': [raw(STREAM, unended), NO_END],
	'by a length too short': [
		raw(head(200, 'Content-Type: text/event-stream', 'Content-Length: 300') + sse(events)),
		NO_END,
	],
	'by a length too long': [
		raw(head(200, 'Content-Type: text/event-stream', 'Content-Length: 99999'), unended), CUT,
	],
	'in a chunk': [raw(CHUNKED, chunk(unended).slice(0, -50)), CUT],
	'between chunks': [raw(CHUNKED, chunk(unended)), CUT],
	'by a reset': [rawReset(STREAM, unended), CUT],
};

describe('the model server\'s answer is cut: 502', AT_ONCE, () => {
	for (const [name, [answer, cause]] of Object.entries(CUTS)) {
		e2e(name, async (bench) => { await assertFault(bench, answer, 502, cause); });
	}
});

// --- silence, and its like ---

const SILENT = /did not answer in time/;
const QUIET = {
	'before the head': rawHeld(),
	'in the head': rawHeld('HTTP/1.1 200 OK\r\nContent-'),
	'after an interim answer': rawHeld(head(100)),
	'after the head': rawHeld(STREAM),
	'in the stream': rawHeld(STREAM, sse(events.slice(0, 6))),
	'in an error': rawHeld(head(500, 'Content-Length: 100'), '{'),
	'a byte at a time': endless([STREAM], () => 'x', 100),
	'a byte of its head at a time': endless(['HTTP/1.1 200 OK\r\nX: '], () => 'x', 100),
	'only pings': endless([STREAM], () => ': ping\n\n', 100),
	'only unknown events': endless([STREAM], () => sse([{ type: 'ping' }])),
	'words without an end': endless([STREAM, sse(events.slice(0, 3))],
		() => delta({ delta: 'and ' }), 20),
};

describe('the model server is silent: 504', AT_ONCE, () => {
	for (const [name, answer] of Object.entries(QUIET)) {
		e2e(name, async (bench) => { await assertFault(bench, answer, 504, SILENT, SOON); });
	}
});

// --- too much ---

// The peak of the process's memory, in MiB.
function peak({ child }) {
	const { 1: kib } = /^VmHWM:\s*(\d+) kB$/m
		.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'latin1'));
	return Number(kib) / 1024;
}

const TOO_LARGE = /too large|longer than/;
const whole = (text) => sse([{
	type: 'response.output_item.done',
	item: { type: 'message', content: [{ type: 'output_text', text }] },
}]);
const bomb = (text) => raw(head(200, 'Content-Type: text/event-stream', 'Content-Encoding: gzip'),
	zlib.gzipSync(text));

const TOO_MUCH = {
	'a line of 100 MB': [endless([STREAM, 'data: '], () => LONG), TOO_LARGE],
	'an event of 100 MB': [endless([STREAM], () => `data: ${LONG}\n`), TOO_LARGE],
	'a header of 1 MB': [raw('HTTP/1.1 200 OK\r\nX-Long: ', LONG, '\r\n\r\n'), TOO_LARGE],
	'headers without an end': [
		endless(['HTTP/1.1 200 OK\r\n'], () => `X-More: ${'x'.repeat(1000)}\r\n`), TOO_LARGE,
	],
	'an answer without an end': [
		endless([head(200, 'Content-Type: application/json')], () => LONG), TOO_LARGE,
	],
	'an error without an end': [endless([head(500)], () => LONG), /500.*too large|too large.*500/],
	'words without an end': [
		endless([STREAM, sse(events.slice(0, 3))], () => delta({ delta: LONG })), TOO_LARGE,
		// What was said until then is kept.
		128,
	],
	'messages without an end': [endless([STREAM], () => whole(LONG)), TOO_LARGE],
	'messages without any text and without an end': [
		endless([STREAM], () => whole('')), /more than .* parts/,
	],
	'100 MB of a gzip bomb': [bomb(`data: ${LONG.repeat(100)}\n\n`), TOO_LARGE],
};

describe('the model server sends too much: 502, in bounded memory', { concurrency: 2 }, () => {
	for (const [name, [answer, cause, most = 64]] of Object.entries(TOO_MUCH)) {
		e2e(name, async (bench) => {
			bench.expectLog(cause);
			const model = await modelServer(bench);
			// AddressSanitizer keeps freed memory for a while.
			const env = { ...model.env, ASAN_OPTIONS: 'quarantine_size_mb=1' };
			const server = await bench.listen({ env });
			const thread = await newThread(server);
			await say(server, await newThread(server), 'words');
			const before = peak(server);
			model.queue.push(answer);
			const told = await say(server, thread, 'first words');
			assertSentence(told, 502);
			assertSecretsKept(told);
			assertCauseOnce(bench, cause);
			const more = peak(server) - before;
			assert.ok(more < most, `${more} MiB more`);
			await assertThreadLives(server, thread);
		});
	}
});

// --- odd, but valid ---

const usage = (input_tokens, output_tokens) => ({ input_tokens, output_tokens });
const MANY = Array.from({ length: 10_000 }, (_, i) => `X-${i}: words`);
const WHOLE = sse(said('words'));

const ODD = {
	'100 Continue before the answer': [raw(head(100), STREAM, WHOLE)],
	'103 before the answer': [raw(head(103, 'Content-Type: text/html'), STREAM, WHOLE)],
	'HTTP/1.0, without a length': [raw(STREAM.replace('1.1', '1.0'), WHOLE)],
	'10,000 headers': [raw(head(200, 'Content-Type: text/event-stream', ...MANY), WHOLE)],
	'gzip, though not asked for': [bomb(WHOLE)],
	// With pauses, because otherwise they would be sent together.
	'a few bytes at a time': [raw(STREAM, ...WHOLE.match(/[^]{1,12}/g).flatMap((few) => [few, 1]))],
	'a length too short, behind the last event': [
		raw(head(200, 'Content-Type: text/event-stream', `Content-Length: ${WHOLE.length}`)
			+ WHOLE + WHOLE),
	],
	'a reset behind the last event': [rawReset(STREAM, WHOLE)],
	'unknown events and events without types between': [
		stream(...said('words').flatMap((event) => [
			sse([event, { type: 'response.unknown', delta: 7 }]), 'data: {"delta":"x"}\n\n',
			'data: 7\n\n', 'data: null\n\n', ': ping\n\n',
		])),
	],
	'types that only the events\' names tell': [
		stream(...said('words').map(({ type, ...rest }) => {
			return `event: ${type}\ndata: ${JSON.stringify(rest)}\n\n`;
		})),
	],
	'NULs in the words': [stream(sse(said('be\0fore'))), 'be\ufffdfore'],
	'NULs in deltas alone': [
		stream(delta({ delta: 'be\0' }), delta({ delta: 'fore' }), ended({})), 'be\ufffdfore',
	],
	'a content index of the wrong size': [
		stream(delta({ delta: 'words', content_index: 1e15 }),
			delta({ delta: ' more', content_index: -7 }), ended({})), 'words more',
	],
	'a whole message without the words that were said': [
		stream(delta({ delta: 'words' }), sse([{
			type: 'response.output_item.done', item: { type: 'message', content: null },
		}]), ended({})),
	],
	'usage of strings': [stream(delta({ delta: 'words' }), ended({ usage: usage('1', '2') }))],
	'usage that is a list': [stream(delta({ delta: 'words' }), ended({ usage: [] }))],
	'usage of huge numbers': [
		stream(delta({ delta: 'words' }), ended({ usage: usage(2 ** 62, 2 ** 62) })),
	],
	'usage beyond all numbers': [
		stream(delta({ delta: 'words' }), ended({ usage: usage(1e300, 2 ** 64) })),
	],
};

describe('odd answers that are answers: 200', AT_ONCE, () => {
	for (const [name, [answer, expected = 'words']] of Object.entries(ODD)) {
		e2e(name, async (bench) => {
			const model = await modelServer(bench);
			model.queue.push(answer);
			const server = await bench.listen({ env: model.env });
			const thread = await newThread(server);
			const told = await say(server, thread, 'first words');
			assert.deepEqual([told.status, told.text], [200, expected]);
			assert.deepEqual((await transcript(server, thread)).at(-1), ['assistant', expected]);
			await assertThreadLives(server, thread);
		});
	}

	e2e('bytes after an answer are not taken for the next one', async (bench) => {
		const model = await modelServer(bench);
		const [told, written] = [gate(), gate()];
		model.queue.push(async (response) => {
			const length = `Content-Length: ${WHOLE.length}`;
			await rawHeld(head(200, 'Content-Type: text/event-stream', length), WHOLE)(response);
			await told.opened;
			response.socket.write(STREAM + WHOLE, written.open);
		});
		const server = await bench.listen({ env: model.env });
		const thread = await newThread(server);
		assert.equal((await say(server, thread, 'first words')).text, 'words');
		told.open();
		await written.opened;
		await assertThreadLives(server, thread);
	});

	e2e('10 MB of text at once', async (bench) => {
		const model = await modelServer(bench);
		const text = 'words '.repeat(10 * MEGABYTE / 6);
		model.queue.push(stream(delta({ delta: text }), whole(text), ended({})));
		const server = await bench.listen({ env: model.env });
		const thread = await newThread(server);
		const told = await say(server, thread, 'first words');
		assert.deepEqual([told.status, told.text.length], [200, text.length]);
		assert.equal((await transcript(server, thread)).at(-1)[1].length, text.length);
		await assertThreadLives(server, thread);
	});
});

// --- as plain CGI ---

describe('as plain CGI', AT_ONCE, () => {
	for (const name of ['connections are refused', 'its certificate is self-signed']) {
		e2e(`${name}: 502`, (bench) => assertUnreached(bench, UNREACHED[name], fromShell));
	}
	for (const [name, answer, code, cause, env] of [
		['401', status(401), 502, /answered 401/],
		['busy for long', busy(429, '999999999999'), 503, /answered 429/],
		['HTML with 200', ...NONSENSE['HTML with 200'].toSpliced(1, 0, 502)],
		['cut by a reset', ...CUTS['by a reset'].toSpliced(1, 0, 502)],
		['silent in the stream', QUIET['in the stream'], 504, SILENT, SOON.env],
		['a line of 100 MB', ...TOO_MUCH['a line of 100 MB'].toSpliced(1, 0, 502)],
	]) {
		e2e(`${name}: ${code}`, async (bench) => {
			await assertFault(bench, answer, code, cause, { env, open: fromShell });
		});
	}
});
