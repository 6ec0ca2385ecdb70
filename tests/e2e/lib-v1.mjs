// For tests of /v1: keys, and a model server that the test drives step by step.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { KEY } from './lib.mjs';

/** Make a key for the tenant `name`, as an operator would. */
export async function makeKey(bench, name = 'a-program') {
	const { code, stdout, stderr } = await bench.command(['--make-key', name]);
	assert.equal(code, 0, stderr);
	return stdout.trim();
}

/** Headers of a request with JSON and a key. */
export function bearer(key, more = {}) {
	return { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...more };
}

/** Assert an error of the API with all four members. */
export function assertError(answer, status, pattern = /./) {
	assert.equal(answer.status, status, answer.text);
	const { error } = answer.json;
	assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'param', 'type']);
	assert.match(error.message, pattern);
	return error;
}

/**
 * A model server with the test's own listener, which gets Node's request and response; `.requests`
 * are {method, path, headers}.
 */
export async function rawUpstream(bench, listener) {
	const served = { requests: [] };
	const server = http.createServer((request, response) => {
		const { method, url: path, headers } = request;
		served.requests.push({ method, path, headers });
		return listener(request, response);
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	bench.onClose(() => {
		server.closeAllConnections();
		server.close();
	});
	served.env = {
		OPENAI_BASE_URL: `http://127.0.0.1:${server.address().port}/v1`, OPENAI_API_KEY: KEY,
	};
	return served;
}

/** The whole body, as a Buffer. */
export async function bodyOf(stream) {
	const pieces = [];
	for await (const piece of stream) pieces.push(piece);
	return Buffer.concat(pieces);
}

/** For rawUpstream: read the request, then answer JSON. */
export function json(value, status = 200, headers = {}) {
	return async (request, response) => {
		await bodyOf(request);
		response.writeHead(status, { 'content-type': 'application/json', ...headers });
		response.end(JSON.stringify(value));
	};
}

/**
 * Send a request and read its answer in pieces: `.next()` resolves to the next one, '' at the end.
 */
export async function openAnswer(port, method, uri, { headers = {}, body = '' } = {}) {
	const length = { 'content-length': Buffer.byteLength(body) };
	const request = http.request({
		host: '127.0.0.1', port, method, path: uri, agent: false,
		headers: { ...length, ...headers },
	});
	request.end(body);
	const [response] = await once(request, 'response');
	const pieces = response[Symbol.asyncIterator]();
	request.on('error', () => {});
	return {
		status: response.statusCode,
		headers: response.headers,
		next: async () => String((await pieces.next()).value ?? ''),
		leave: () => request.destroy(),
	};
}
