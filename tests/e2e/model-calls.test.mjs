// Function calls, all the way: a run of /v1 that calls, gets outputs, and answers.

import assert from 'node:assert/strict';
import { LLMock } from '@copilotkit/aimock';
import { KEY, e2e } from './lib.mjs';
import { withoutResponses } from './lib-upstream.mjs';

const ASKED = 'call temperature {"city":"SF"}';
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } } };
const TOOL = { type: 'function', function: { name: 'temperature', parameters: PARAMETERS } };

async function aimock(bench) {
	const mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 5 });
	const call = { name: 'temperature', arguments: '{"city":"SF"}' };
	// The first matching fixture counts: the function's output, or else the question.
	mock.onToolResult('call_1', { content: 'It is 57 F.' });
	mock.onMessage(ASKED, { content: 'Let me see.', toolCalls: [{ ...call, id: 'call_1' }] });
	await mock.start();
	bench.onClose(() => mock.stop());
	return mock;
}

const SERVERS = {
	'the Responses API': async (mock) => ({
		OPENAI_BASE_URL: `${mock.url}/v1`, ASSISTANTS_MODEL_API: 'responses',
	}),
	'Chat Completions': async (mock) => ({
		OPENAI_BASE_URL: `${mock.url}/v1`, ASSISTANTS_MODEL_API: 'chat',
	}),
	'auto, without the Responses API': async (mock, bench) => ({
		OPENAI_BASE_URL: await withoutResponses(bench, mock.url),
	}),
};

// A server's API with a key: call(method, path, body) returns the answer, which must be 200.
async function api(bench, env) {
	const { stdout } = await bench.command(['--make-key', 'tester']);
	const server = await bench.listen({ env });
	return async (method, path, body) => {
		const answer = await server.request(method, `/v1${path}`, {
			headers: {
				authorization: `Bearer ${stdout.trim()}`, 'content-type': 'application/json',
			},
			body: body && JSON.stringify(body),
		});
		assert.equal(answer.status, 200, answer.text);
		return answer;
	};
}

// The data of a stream's events of one kind.
function eventsOf({ text }, name) {
	return text.split('\n\n').filter((event) => event.startsWith(`event: ${name}\n`))
		.map((event) => JSON.parse(event.replace(/^[^]*\ndata: /, '')));
}

async function askAround(call) {
	const { json: assistant } = await call('POST', '/assistants',
		{ model: 'asked-model', instructions: 'Be terse.', tools: [TOOL] });
	const begun = await call('POST', '/threads/runs', {
		assistant_id: assistant.id, stream: true,
		thread: { messages: [{ role: 'user', content: ASKED }] },
	});
	const [run] = eventsOf(begun, 'thread.run.requires_action');
	const calls = run.required_action.submit_tool_outputs.tool_calls;
	assert.equal(calls.length, 1);
	assert.equal(calls[0].function.name, 'temperature');
	assert.deepEqual(JSON.parse(calls[0].function.arguments), { city: 'SF' });
	const fragments = eventsOf(begun, 'thread.run.step.delta')
		.map(({ delta }) => delta.step_details.tool_calls[0].function.arguments);
	assert.equal(fragments.join(''), calls[0].function.arguments);
	const path = `/threads/${run.thread_id}`;
	const ended = await call('POST', `${path}/runs/${run.id}/submit_tool_outputs`, {
		stream: true, tool_outputs: [{ tool_call_id: calls[0].id, output: '57 F' }],
	});
	const [{ model }] = eventsOf(ended, 'thread.run.completed');
	assert.equal(model, 'asked-model');
	const { json: messages } = await call('GET', `${path}/messages?order=asc`);
	return messages.data.map(({ content }) => content[0].text.value);
}

for (const [name, environment] of Object.entries(SERVERS)) {
	e2e(`${name}: a function is called, answers, and the model goes on`, async (bench) => {
		const mock = await aimock(bench);
		const env = { ...await environment(mock, bench), OPENAI_API_KEY: KEY,
			ASSISTANTS_MODELS: 'asked-model=sent-model' };
		const said = await askAround(await api(bench, env));
		assert.deepEqual(said, [ASKED, 'Let me see.', 'It is 57 F.']);
		assert.deepEqual(mock.getRequests().map(({ body }) => body.model),
			['sent-model', 'sent-model']);
	});
}

e2e('the offline model does the same', async (bench) => {
	const said = await askAround(await api(bench, {}));
	assert.deepEqual(said, [ASKED, 'The function temperature answered: 57 F']);
});

e2e('ASSISTANTS_MODELS is wrong: one line reports it', async (bench) => {
	const { code, stdout } = await bench.command(['--check-config'], { ASSISTANTS_MODELS: 'gpt-4' });
	assert.equal(code, 1);
	assert.match(stdout,
		/^configuration: NOT ok, ASSISTANTS_MODELS is "gpt-4": it must be pairs .*\n$/);
});
