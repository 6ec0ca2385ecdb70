// A FastCGI client that sends what no web server passes on; one request per connection.

import assert from 'node:assert/strict';
import net from 'node:net';
import { parseCgi } from './lib-cgi.mjs';

const [BEGIN, END, PARAMS, STDIN, STDOUT, STDERR] = [1, 3, 4, 5, 6, 7];
const RESPONDER = 1;
const KEEP_CONNECTION = 1;
const RECORD_MAX = 65_535;

function record(type, content) {
	const header = Buffer.from([1, type, 0, 1, 0, 0, 0, 0]);
	header.writeUInt16BE(content.length, 4);
	return Buffer.concat([header, content]);
}

// A stream: records of at most 64 KiB, and an empty one.
function stream(type, content) {
	const records = [];
	for (let at = 0; at < content.length; at += RECORD_MAX) {
		records.push(record(type, content.subarray(at, at + RECORD_MAX)));
	}
	return Buffer.concat([...records, record(type, Buffer.alloc(0))]);
}

function length(bytes) {
	if (bytes < 128) return Buffer.from([bytes]);
	const long = Buffer.alloc(4);
	long.writeUInt32BE((bytes | 0x8000_0000) >>> 0);
	return long;
}

function pairs(params) {
	return Buffer.concat(Object.entries(params).flatMap(([name, value]) => {
		const [n, v] = [Buffer.from(name), Buffer.from(value)];
		return [length(n.length), length(v.length), n, v];
	}));
}

/** A whole request as bytes. */
export function fcgiBytes(params, body = '', { keepConnection = false } = {}) {
	const flags = keepConnection ? KEEP_CONNECTION : 0;
	return Buffer.concat([
		record(BEGIN, Buffer.from([0, RESPONDER, flags, 0, 0, 0, 0, 0])),
		stream(PARAMS, pairs(params)),
		stream(STDIN, Buffer.from(body)),
	]);
}

// The complete records in `bytes`, as [type, content] pairs.
function* recordsOf(bytes) {
	for (let at = 0; at + 8 <= bytes.length;) {
		const size = bytes.readUInt16BE(at + 4);
		const next = at + 8 + size + bytes[at + 6];
		if (next > bytes.length) return;
		yield [bytes[at + 1], bytes.subarray(at + 8, at + 8 + size)];
		at = next;
	}
}

function parseAnswer(bytes) {
	const records = [...recordsOf(bytes)];
	const join = (type) => Buffer.concat(records.filter(([t]) => t === type).map(([, c]) => c));
	const end = records.find(([type]) => type === END);
	assert.ok(end, 'the connection ended before the request did');
	assert.equal(end[1][4], 0, 'protocol status');
	assert.equal(join(STDERR).toString(), '', 'the program writes its log elsewhere');
	return parseCgi(join(STDOUT));
}

/** Send a request to the program's socket; resolves to its Answer. */
export function fcgiRequest(socket, params, body, options) {
	return new Promise((resolve, reject) => {
		const pieces = [];
		const connection = net.connect(socket);
		connection.on('data', (piece) => pieces.push(piece));
		// The program may answer and close before it has read everything.
		connection.on('error', (error) => pieces.length > 0 || reject(error));
		connection.on('close', () => {
			try {
				resolve(parseAnswer(Buffer.concat(pieces)));
			} catch (error) {
				reject(error);
			}
		});
		connection.write(fcgiBytes(params, body, options));
	});
}

/** Send a request whose body arrives at a piece a second; resolves to its Answer. */
export async function fcgiTrickle(socket, params, piece = 'x') {
	const connection = net.connect(socket);
	const whole = fcgiBytes(params);
	// Everything but the end of the body.
	connection.write(whole.subarray(0, whole.length - record(STDIN, Buffer.alloc(0)).length));
	const trickle = setInterval(() => connection.write(record(STDIN, Buffer.from(piece))), 1000);
	const pieces = [];
	connection.on('error', () => {});
	try {
		for await (const one of connection) pieces.push(one);
	} finally {
		clearInterval(trickle);
	}
	return parseAnswer(Buffer.concat(pieces));
}

/** Send the first `count` bytes of a request, and wait; resolves to the open connection. */
export function fcgiStall(socket, bytes, count) {
	return new Promise((resolve, reject) => {
		const connection = net.connect(socket);
		connection.once('error', reject);
		connection.write(bytes.subarray(0, count), () => resolve(connection));
	});
}

/** Send the first `count` bytes of a request, and close. */
export function fcgiCutOff(socket, bytes, count) {
	return new Promise((resolve, reject) => {
		const connection = net.connect(socket);
		connection.once('error', reject);
		connection.once('close', resolve);
		connection.write(bytes.subarray(0, count), () => connection.destroy());
	});
}
