// The Common Gateway Interface, from the web server's side.

import assert from 'node:assert/strict';

/** An answer; `body` is a Buffer. */
export class Answer {
	constructor(status, headers, body) {
		Object.assign(this, { status, headers, body });
	}

	get text() {
		return this.body.toString();
	}

	get json() {
		return JSON.parse(this.text);
	}
}

/** Parse a CGI program's output: header lines, an empty line, the body. */
export function parseCgi(output) {
	const end = output.indexOf('\r\n\r\n');
	assert.notEqual(end, -1, `no end of the headers in: ${output.toString().slice(0, 500)}`);
	const headers = {};
	for (const line of output.subarray(0, end).toString('latin1').split('\r\n')) {
		const [, name, value] = /^([A-Za-z0-9-]+): *(.*)$/.exec(line) ?? assert.fail(line);
		assert.ok(!(name.toLowerCase() in headers), `${name} comes twice`);
		headers[name.toLowerCase()] = value;
	}
	const status = Number(headers.status?.split(' ')[0] ?? 200);
	delete headers.status;
	return new Answer(status, headers, output.subarray(end + 4));
}

/** The variables of a request (RFC 3875). */
export function cgiVariables({ method, path: uri, headers = {}, body = '', scriptName = '',
	withLength = true, remoteAddr = '127.0.0.1' }) {
	const [pathname, query = ''] = uri.split('?');
	const variables = {
		GATEWAY_INTERFACE: 'CGI/1.1', SERVER_PROTOCOL: 'HTTP/1.1', SERVER_NAME: 'localhost',
		SERVER_PORT: '80', SERVER_SOFTWARE: 'a-test', REMOTE_ADDR: remoteAddr,
		REQUEST_METHOD: method, SCRIPT_NAME: scriptName, REQUEST_URI: scriptName + uri,
		PATH_INFO: decodeURIComponent(pathname), QUERY_STRING: query,
	};
	if (withLength && (body !== '' || method === 'POST')) {
		variables.CONTENT_LENGTH = String(Buffer.byteLength(body));
	}
	for (const [name, value] of Object.entries(headers)) {
		const upper = name.toUpperCase().replaceAll('-', '_');
		variables[upper === 'CONTENT_TYPE' ? upper : `HTTP_${upper}`] = value;
	}
	return variables;
}
