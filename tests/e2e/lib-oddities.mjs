// Odd model servers: each is a function of a request's body that returns the answer, or a refusal.

import assert from 'node:assert/strict';
import { eventually } from './lib.mjs';
import { modelServer, stream, words } from './lib-upstream.mjs';
import { bearer, makeKey } from './lib-v1.mjs';

const WEATHER = { type: 'function', function: { name: 'get_weather' } };

/** A refusal; `form` wraps its words in the server's form. */
export function refusal(message, status = 400, form = (text) => ({ error: { message: text } })) {
	return { status, body: form(message) };
}

/** A chunk of Chat Completions. */
export function chunk(delta, finish_reason = null, more = {}) {
	return { object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason, ...more }] };
}

/** Calls of get_weather in Chat Completions, [id, arguments, further members] each. */
export function calls(...list) {
	const tool_calls = list.map(([id, args, more], index) => {
		return { index, id, type: 'function', function: { name: 'get_weather', arguments: args }, ...more };
	});
	return { chunks: [chunk({ role: 'assistant', tool_calls }), chunk({}, 'tool_calls')] };
}

/** Items of the Responses API. */
export function items(...output) {
	const done = output.map((item, output_index) => {
		return { type: 'response.output_item.done', output_index, item };
	});
	return { events: [...done, { type: 'response.completed', response: { status: 'completed', output } }] };
}

function send(response, answer, chat) {
	if (typeof answer === 'string' && !chat) return words(answer)(response);
	if (typeof answer === 'string') {
		return send(response, { chunks: [chunk({ content: answer }), chunk({}, 'stop')] }, chat);
	}
	if (answer.events) return stream(answer.events)(response);
	if (answer.chunks) {
		response.writeHead(200, { 'content-type': 'text/event-stream' });
		answer.chunks.forEach((one) => response.write(`data: ${JSON.stringify(one)}\n\n`));
		return response.end(answer.cut ? '' : 'data: [DONE]\n\n');
	}
	const type = typeof answer.body === 'string' ? 'text/html' : 'application/json';
	response.writeHead(answer.status, { 'content-type': type, ...answer.headers });
	return response.end(type === 'text/html' ? answer.body : JSON.stringify(answer.body));
}

/**
 * A server that answers by `answer(body, path)`, and the program in front of it. `.say(words)` asks
 * the gateway, in one thread. `.turn(words)` adds a message to a thread of /v1, runs its assistant
 * and answers its calls. `.asked` has the bodies that the server got.
 */
export async function oddServer(bench, api, answer, { name } = {}) {
	const server = await modelServer(bench);
	const asked = [];
	const listener = (state) => (response, { json, path }) => {
		asked.push(json);
		return send(response, state.answer(json, path), path.endsWith('/chat/completions'));
	};
	const state = { answer };
	server.otherwise = listener(state);
	const key = await makeKey(bench, 'tester');
	const env = { ...server.env, ASSISTANTS_MODEL_API: api };
	const site = await bench.listen({ env, name });
	return { ...talk(site, key), asked, state, url: server.url, key };
}

/** Two ways to talk with a site: the gateway and /v1. */
export function talk(site, key, at = {}) {
	const call = async (method, path, body) => {
		const answered = await site.request(method, `/v1${path}`, {
			headers: bearer(key), body: body && JSON.stringify(body),
		});
		assert.equal(answered.status, 200, answered.text);
		return answered.json;
	};
	const ended = (path) => eventually('the run is over', async () => {
		const run = await call('GET', path);
		return !['queued', 'in_progress', 'cancelling'].includes(run.status) && run;
	});
	return {
		at, call,
		stream: (path, body) => site.request('POST', `/v1${path}`,
			{ headers: bearer(key), body: JSON.stringify(body) }),
		async say(words) {
			at.gateway ??= (await site.request('POST', '/threads')).text;
			const { status, text } = await site.request('POST', `/threads/${at.gateway}/messages`,
				{ body: words });
			return [status, text];
		},
		async turn(words, options = {}) {
			at.assistant ??= (await call('POST', '/assistants',
				{ model: 'asked-model', instructions: 'Be kind.', tools: [WEATHER] })).id;
			at.thread ??= (await call('POST', '/threads', {})).id;
			const path = `/threads/${at.thread}`;
			if (words) await call('POST', `${path}/messages`, { role: 'user', content: words });
			const { id } = await call('POST', `${path}/runs`, { assistant_id: at.assistant, ...options });
			let run = await ended(`${path}/runs/${id}`);
			while (run.status === 'requires_action') {
				const { tool_calls } = run.required_action.submit_tool_outputs;
				await call('POST', `${path}/runs/${id}/submit_tool_outputs`, {
					tool_outputs: tool_calls.map((one) => ({ tool_call_id: one.id, output: '3 degrees' })),
				});
				run = await ended(`${path}/runs/${id}`);
			}
			return run;
		},
	};
}
