// A scripted model server, for what aimock, which behaves well, cannot do.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { KEY } from './lib.mjs';

// What upstream servers write in their errors; no client may ever see it.
export const MARKER = 'words of the model server';

async function record(request) {
	const pieces = [];
	for await (const piece of request) pieces.push(piece);
	const text = Buffer.concat(pieces).toString();
	const { method, url, headers } = request;
	return { method, path: url, headers, json: text === '' ? undefined : JSON.parse(text) };
}

/**
 * Start the server. Each request is answered by the first answer in `.queue`, or, if that is empty,
 * by `.otherwise`; an answer is a function of the response and the request. `.requests` has what
 * was received; `.left` of each is a promise, fulfilled when its client leaves without the whole
 * answer. `.connections` counts connections.
 */
export async function modelServer(bench, { port = 0, tls } = {}) {
	const served = { requests: [], connections: 0, queue: [], otherwise: words('hello') };
	const listener = async (request, response) => {
		const left = new Promise((resolve) => {
			response.once('close', () => response.writableFinished || resolve(true));
		});
		const recorded = await record(request).catch(() => undefined);
		if (recorded === undefined) return;
		served.requests.push({ ...recorded, left });
		const answer = served.queue.shift() ?? served.otherwise;
		await answer(response, recorded);
	};
	const server = tls ? https.createServer(tls, listener) : http.createServer(listener);
	server.on('connection', () => { served.connections += 1; });
	server.listen(port, '127.0.0.1');
	await once(server, 'listening');
	bench.onClose(() => {
		server.closeAllConnections();
		server.close();
	});
	served.url = `http${tls ? 's' : ''}://127.0.0.1:${server.address().port}/v1`;
	served.env = { OPENAI_BASE_URL: served.url, OPENAI_API_KEY: KEY };
	return served;
}

/** A server in front of `url` that has everything but the Responses API; returns its base URL. */
export async function withoutResponses(bench, url) {
	const server = http.createServer((request, response) => {
		if (request.url === '/v1/responses') {
			request.resume().once('end', () => status(404)(response));
			return;
		}
		const { method, headers } = request;
		const onward = http.request(`${url}${request.url}`, { method, headers }, (answer) => {
			response.writeHead(answer.statusCode, answer.headers);
			answer.pipe(response);
		});
		request.pipe(onward);
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	bench.onClose(() => {
		server.closeAllConnections();
		server.close();
	});
	return `http://127.0.0.1:${server.address().port}/v1`;
}

/**
 * The newest message of a request. Messages that were not answered precede it in the same entry.
 */
export const newestWords = ({ input }) => input.at(-1).content.split('\n\n').at(-1);

/** Answer with a status, headers and a body. */
export function status(code, headers = {}, body = errorBody(code)) {
	return (response) => response.writeHead(code, headers).end(body);
}

/** An error in OpenAI's form; like OpenAI's it repeats the key that was sent. */
function errorBody(code) {
	const message = `${MARKER}: ${code}, you sent ${KEY}`;
	return JSON.stringify({ error: { message, type: 'test', param: null, code: null } });
}

/** Never answer. */
export function silence() {
	return () => {};
}

/** Send the head and the first `count` events of a stream, then cut the connection. */
export function cutAfter(count, events) {
	return async (response) => {
		sendEvents(response, events.slice(0, count));
		// Let the data leave before the connection is cut.
		await sleep(50);
		response.destroy();
	};
}

/** Send these events as a stream; `until`, a promise, delays what follows the first text. */
export function stream(events, until) {
	const begun = events.findIndex(({ type }) => type.endsWith('.delta')) + 1;
	return async (response) => {
		sendEvents(response, events.slice(0, begun));
		await until;
		sendEvents(response, events.slice(begun));
		response.end();
	};
}

function sendEvents(response, events) {
	if (!response.headersSent) {
		response.writeHead(200, { 'content-type': 'text/event-stream' });
	}
	response.write(sse(events));
}

/** Events as bytes. */
export function sse(events) {
	return events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
		.join('');
}

/** A gate: `.opened` is fulfilled once `.open()` is called. */
export function gate() {
	const made = {};
	made.opened = new Promise((resolve) => { made.open = resolve; });
	return made;
}

/** Answer with this text, streamed as in the Responses API. */
export function words(text, until) {
	return stream(messageEvents({ type: 'output_text', text, annotations: [] }), until);
}

/** Answer with this text, to the last event, and leave the stream open. */
export function unended(text) {
	const events = messageEvents({ type: 'output_text', text, annotations: [] });
	return (response) => sendEvents(response, events);
}

/** Answer with a refusal. */
export function refusal(text) {
	return stream(messageEvents({ type: 'refusal', refusal: text }));
}

/** Answer with text, or none, that a token limit cut off. */
export function incomplete(text) {
	const part = { type: 'output_text', text, annotations: [] };
	const reason = { reason: 'max_output_tokens' };
	const end = { status: 'incomplete', incomplete_details: reason };
	return stream(text === '' ? responseEvents([], end) : messageEvents(part, end));
}

/** Answer with a function call; `end` has members for the final response. */
export function functionCall(name, end) {
	const id = 'fc_0001';
	const item = { id, type: 'function_call', call_id: 'call_0001', name, arguments: '{}' };
	const delta = { type: 'response.function_call_arguments.delta', delta: '{}' };
	const done = { type: 'response.function_call_arguments.done', name, arguments: '{}' };
	const between = [delta, done].map((one) => ({ ...one, item_id: id, output_index: 0 }));
	return stream(responseEvents([{ item, begun: { ...item, arguments: '' }, between }], end));
}

/** Answer with parallel function calls, [id, name, arguments] each. */
export function functionCalls(...calls) {
	return stream(responseEvents(calls.map(([call_id, name, args], output_index) => {
		const id = `fc_${output_index}`;
		const item = { id, type: 'function_call', call_id, name, arguments: args };
		const at = { item_id: id, output_index };
		const kind = 'response.function_call_arguments';
		return { item, begun: { ...item, arguments: '' }, between: [
			...args.match(/[^]{1,7}/g).map((delta) => ({ type: `${kind}.delta`, ...at, delta })),
			{ type: `${kind}.done`, ...at, name, arguments: args },
		] };
	})));
}

/** Begin normally, then report that the response failed. */
export function failed() {
	const error = { code: 'server_error', message: MARKER };
	return stream(responseEvents([], { status: 'failed', error }));
}

/** Begin normally, then send the stream's own error event. */
export function errorEvent() {
	const event = { type: 'error', code: 'server_error', message: MARKER, param: null };
	return stream([...responseEvents([]).slice(0, 2), { ...event, sequence_number: 2 }]);
}

/** The events of a response with one message of one part. */
export function messageEvents(part, end) {
	const id = 'msg_0001';
	const item = { id, type: 'message', role: 'assistant', content: [part] };
	const at = { item_id: id, output_index: 0, content_index: 0 };
	const field = part.type === 'refusal' ? 'refusal' : 'text';
	const kind = part.type === 'refusal' ? 'response.refusal' : 'response.output_text';
	const pieces = part[field].match(/[^]{1,7}/g) ?? [];
	const between = [
		{ type: 'response.content_part.added', ...at, part: { ...part, [field]: '' } },
		...pieces.map((delta) => ({ type: `${kind}.delta`, ...at, delta, logprobs: [] })),
		{ type: `${kind}.done`, ...at, [field]: part[field], logprobs: [] },
		{ type: 'response.content_part.done', ...at, part },
	];
	return responseEvents([{ item, begun: { ...item, content: [] }, between }], end);
}

// A whole response: `items` are {item, its first form, the events between its begin and its end}.
function responseEvents(items, end = { status: 'completed' }) {
	const response = {
		id: 'resp_0001', object: 'response', created_at: 1_790_000_000, model: 'a-model',
		status: 'in_progress', error: null, incomplete_details: null, usage: null,
		output: [],
	};
	const status = end.status === 'incomplete' ? 'incomplete' : 'completed';
	const events = items.flatMap(({ item, begun, between }, output_index) => [
		{ type: 'response.output_item.added', output_index,
			item: { ...begun, status: 'in_progress' } },
		...between,
		{ type: 'response.output_item.done', output_index, item: { ...item, status } },
	]);
	const output = items.map(({ item }) => ({ ...item, status }));
	const ended = { ...response, output, usage, ...end };
	return [
		{ type: 'response.created', response },
		{ type: 'response.in_progress', response },
		...events,
		{ type: `response.${end.status}`, response: ended },
	].map((event, sequence_number) => ({ ...event, sequence_number }));
}

export const usage = {
	input_tokens: 11, input_tokens_details: { cached_tokens: 0 },
	output_tokens: 7, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 18,
};

/** A key and a self-signed certificate for 127.0.0.1, for modelServer's `tls`. */
export function certificate(bench) {
	const [key, cert] = ['key.pem', 'cert.pem'].map((name) => path.join(bench.dir, name));
	execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
		'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1',
		'-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert],
	{ stdio: 'ignore' });
	return { key: fs.readFileSync(key), cert: fs.readFileSync(cert), file: cert };
}
