// /v1 as seen by a program that writes its own HTTP.

import assert from 'node:assert/strict';
import { eventually } from './lib.mjs';

/** A key of the tenant `name`. */
export async function makeKey(bench, name) {
	const { code, stdout, stderr } = await bench.command(['--make-key', name]);
	assert.equal(code, 0, stderr);
	return stdout.trim();
}

/**
 * A program with a key. `call` returns the JSON of a call that must succeed, `refused` the error of
 * one that must fail; `version` is sent as OpenAI-Beta.
 */
export class Program {
	constructor(server, key, version = 'assistants=v2') {
		Object.assign(this, { server, key, version });
	}

	request(method, path, body) {
		const headers = {
			authorization: `Bearer ${this.key}`, 'openai-beta': this.version,
			'content-type': 'application/json',
		};
		const text = body === undefined ? undefined : JSON.stringify(body);
		return this.server.request(method, `/v1${path}`, { headers, body: text });
	}

	async call(method, path, body) {
		const answer = await this.request(method, path, body);
		assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`);
		return answer.json;
	}

	async refused(status, method, path, body) {
		const answer = await this.request(method, path, body);
		assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
		return answer.json.error;
	}

	/** The events of a call that streams, as [name, data]. */
	async stream(path, body) {
		const answer = await this.request('POST', path, { ...body, stream: true });
		assert.match(answer.headers['content-type'], /^text\/event-stream/, answer.text);
		return answer.text.split('\n\n').filter(Boolean).map((event) => {
			const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(event) ?? [];
			assert.ok(name, event);
			return [name, data === '[DONE]' ? data : JSON.parse(data)];
		});
	}

	/** Wait for the run's end; returns the run. */
	ended(run) {
		return eventually('the run\'s end', async () => {
			const now = await this.call('GET', `/threads/${run.thread_id}/runs/${run.id}`);
			return /queued|in_progress|cancelling/.test(now.status) ? undefined : now;
		});
	}
}
