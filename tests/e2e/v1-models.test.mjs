// OpenAI's official client with another model server, aimock, by each of the two APIs: with a lasting
// process, and as CGI, where each request and each run has a process of its own.

import assert from 'node:assert/strict';
import { LLMock } from '@copilotkit/aimock';
import OpenAI from 'openai7';
import { KEY, e2e, eventually, newThread, say, within } from './lib.mjs';
import { behindCgid } from './lib-apache.mjs';
import { connect, conversation, handled, stage, textOf, usageOf } from './lib-sdk.mjs';
import { behindFcgiwrap, behindNginx } from './lib-servers.mjs';
import { modelServer, status } from './lib-upstream.mjs';

const RESPONSES = '/v1/responses', CHAT = '/v1/chat/completions';
const WAYS = {
	'the Responses API, nginx': { api: 'responses', path: RESPONSES, behind: behindNginx },
	'Chat Completions, nginx': { api: 'chat', path: CHAT, behind: behindNginx },
	'the Responses API, CGI by Apache': { api: 'responses', path: RESPONSES, behind: behindCgid },
	'Chat Completions, CGI by fcgiwrap': { api: 'chat', path: CHAT, behind: behindFcgiwrap },
};

const WORDS = 'Subtract 11 first: 3x = 3. Grüße & "quotes" – 数学 🎓';
const PRICES = 'What is the stock of apple and facebook?';
const ANSWER = 'Apple is at 100, Meta at 233.';
const TOOL = { type: 'function', function: {
	name: 'get_stock_price',
	parameters: { type: 'object', properties: { symbol: { type: 'string' } } },
} };
const CALLS = [['call_apple', '{"symbol":"AAPL"}', '100'], ['call_meta', '{"symbol":"META"}', '233']];
const OUTPUTS = CALLS.map(([tool_call_id, , output]) => ({ tool_call_id, output }));
const called = (outputs) => CALLS.map(([id, args, output]) => ({ id, type: 'function', function: {
	name: 'get_stock_price', arguments: args, ...outputs && { output },
} }));

// Under its names in both APIs.
const usage = { prompt_tokens: 11, completion_tokens: 7, input_tokens: 11, output_tokens: 7,
	total_tokens: 18 };

/** aimock, which answers slowly if the user says `slow`, or `stuck`. */
async function aimock(bench, api) {
	// Some characters have two UTF-16 units, but none at an odd place.
	const mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 4 });
	const toolCalls = CALLS.map(([id, args]) => ({ id, name: 'get_stock_price', arguments: args }));
	mock.on({ userMessage: PRICES, hasToolResult: false }, { toolCalls });
	mock.on({ userMessage: PRICES, hasToolResult: true }, { content: ANSWER });
	mock.onMessage('slow', { content: WORDS }, { latency: 100 });
	mock.onMessage('stuck', { content: WORDS }, { latency: 200 });
	mock.onMessage(/./, { content: WORDS, usage });
	await mock.start();
	bench.onClose(() => mock.stop());
	const env = {
		OPENAI_BASE_URL: `${mock.url}/v1`, OPENAI_API_KEY: KEY, ASSISTANTS_MODEL_API: api,
	};
	return { mock, env };
}

/**
 * A test for each way; the body gets a stage with an assistant, and a function that makes a thread.
 */
function eachWay(name, body) {
	for (const [way, { api, path, behind }] of Object.entries(WAYS)) {
		e2e(`${way}: ${name}`, async (bench) => {
			const model = await aimock(bench, api);
			const set = await stage(bench, OpenAI, { behind, model });
			const { assistants, threads } = set.openai.beta;
			const { id: assistant_id } = await assistants.create({
				model: 'a-model', instructions: 'Be brief.', tools: [TOOL],
			});
			const begin = async (content) =>
				(await threads.create({ messages: [{ role: 'user', content }] })).id;
			await within(body({
				...set, bench, mock: model.mock, threads, runs: threads.runs, begin,
				body: { assistant_id },
			}), name);
			const asked = new Set(model.mock.getRequests().map((request) => request.path));
			assert.deepEqual([...asked], [path]);
		});
	}
}

/** What a request sent to the model, as [[role, text or call], …], for either API. */
function told({ body }) {
	return body.messages.flatMap(({ role, content, tool_calls }) =>
		(tool_calls ?? [{ id: content }]).map(({ id }) => [role, id]));
}

// First, because aimock goes on with an answer that nobody reads.
eachWay('a run that is cancelled frees its thread', async (set) => {
	const { openai, mock, threads, runs, begin, body } = set;
	const thread_id = await begin('stuck');
	const { id } = await runs.create(thread_id, body);
	await eventually('the model is asked', () => mock.getRequests().length === 1);
	await assert.rejects(runs.create(thread_id, body), /already has an active run/);
	await runs.cancel(id, { thread_id });
	assert.equal((await runs.poll(id, { thread_id })).status, 'cancelled');
	await threads.messages.create(thread_id, { role: 'user', content: 'next' });
	assert.equal((await runs.createAndPoll(thread_id, body)).status, 'completed');
	assert.deepEqual((await conversation(openai, thread_id)).at(-1), ['assistant', WORDS]);
});

eachWay('runs that are polled', async ({ openai, mock, threads, runs, begin, body }) => {
	const thread_id = await begin('one');
	const created = await runs.create(thread_id, body);
	assert.match(created.status, /^(queued|in_progress)$/);
	const run = await runs.poll(created.id, { thread_id });
	assert.deepEqual([run.id, run.status], [created.id, 'completed']);
	assert.deepEqual(run.usage, usageOf(11, 7));
	const again = await runs.createAndPoll(thread_id, {
		...body, additional_messages: [{ role: 'user', content: 'two' }],
	});
	assert.equal(again.status, 'completed');
	assert.deepEqual(await conversation(openai, thread_id), [['user', 'one'],
		['assistant', WORDS], ['user', 'two'], ['assistant', WORDS]]);
	assert.deepEqual(mock.getRequests().map(told), [
		[['system', 'Be brief.'], ['user', 'one']],
		[['system', 'Be brief.'], ['user', 'one'], ['assistant', WORDS], ['user', 'two']],
	]);
	const { data: [step] } = await runs.steps.list(run.id, { thread_id });
	assert.deepEqual([step.type, step.status], ['message_creation', 'completed']);
	const { data } = await threads.messages.list(thread_id, { run_id: run.id });
	assert.deepEqual(data.map(({ id }) => id), [step.step_details.message_creation.message_id]);

	const thread = { messages: [{ role: 'user', content: 'three' }] };
	assert.equal((await threads.createAndRunPoll({ ...body, thread })).status, 'completed');
});

eachWay('a run that is streamed', async ({ openai, runs, begin, body }) => {
	const thread = await begin('one');
	const stream = runs.stream(thread, body);
	const events = [], deltas = [];
	stream.on('event', ({ event }) => { if (event !== events.at(-1)) events.push(event); })
		.on('textDelta', ({ value }) => deltas.push(value));
	assert.equal((await stream.finalRun()).status, 'completed');
	assert.equal(textOf((await stream.finalMessages())[0]), WORDS);
	assert.equal(deltas.join(''), WORDS);
	assert.ok(deltas.length > 1, 'piece by piece');
	assert.deepEqual(events, [
		'thread.run.created', 'thread.run.queued', 'thread.run.in_progress',
		'thread.run.step.created', 'thread.run.step.in_progress', 'thread.message.created',
		'thread.message.in_progress', 'thread.message.delta', 'thread.message.completed',
		'thread.run.step.completed', 'thread.run.completed',
	]);
	assert.deepEqual(await conversation(openai, thread), [['user', 'one'], ['assistant', WORDS]]);
});

/** Assert what the model is sent of the calls, and what is stored. */
async function assertCalls({ mock, runs }, { id, thread_id }) {
	assert.deepEqual(told(mock.getLastRequest()), [
		['system', 'Be brief.'], ['user', PRICES],
		['assistant', 'call_apple'], ['assistant', 'call_meta'], ['tool', '100'], ['tool', '233'],
	]);
	const { data } = await runs.steps.list(id, { thread_id, order: 'asc' });
	assert.deepEqual(data.map(({ type, status: now }) => [type, now]),
		[['tool_calls', 'completed'], ['message_creation', 'completed']]);
	assert.deepEqual(data[0].step_details.tool_calls, called(true));
}

eachWay('two calls side by side, by polling', async (set) => {
	const { openai, runs, begin, body } = set;
	const thread_id = await begin(PRICES);
	const waiting = await runs.createAndPoll(thread_id, body);
	assert.equal(waiting.status, 'requires_action');
	assert.deepEqual(waiting.required_action.submit_tool_outputs.tool_calls, called(false));
	const run = await runs.submitToolOutputsAndPoll(waiting.id,
		{ thread_id, tool_outputs: OUTPUTS.toReversed() });
	assert.equal(run.status, 'completed');
	await assertCalls(set, run);
	assert.deepEqual(await conversation(openai, thread_id),
		[['user', PRICES], ['assistant', ANSWER]]);
});

eachWay('two calls side by side, by streams', async (set) => {
	const { openai, runs, begin, body } = set;
	const thread_id = await begin(PRICES);
	const stream = runs.stream(thread_id, body);
	const args = ['', ''];
	stream.on('toolCallDelta', ({ index, function: call }) => { args[index] += call.arguments; });
	const waiting = await stream.finalRun();
	assert.equal(waiting.status, 'requires_action');
	assert.deepEqual(waiting.required_action.submit_tool_outputs.tool_calls, called(false));
	assert.deepEqual(args, CALLS.map(([, whole]) => whole));
	const rest = runs.submitToolOutputsStream(waiting.id, { thread_id, tool_outputs: OUTPUTS });
	assert.equal((await rest.finalRun()).status, 'completed');
	assert.equal(textOf((await rest.finalMessages())[0]), ANSWER);
	await assertCalls(set, waiting);
	assert.deepEqual(await conversation(openai, thread_id),
		[['user', PRICES], ['assistant', ANSWER]]);
});

eachWay('a run goes on when its client leaves the stream, and is polled', async (set) => {
	const { bench, openai, site, key, runs, begin, body } = set;
	const thread_id = await begin('slow');
	const stream = runs.stream(thread_id, body);
	await handled(stream, 'textDelta');
	const { id } = stream.currentRun();
	stream.on('abort', () => {}).abort();
	await assert.rejects(stream.done(), OpenAI.APIUserAbortError);
	const other = connect(bench, OpenAI, site, key).beta.threads.runs;
	assert.equal((await other.poll(id, { thread_id })).status, 'completed');
	assert.deepEqual(await conversation(openai, thread_id),
		[['user', 'slow'], ['assistant', WORDS]]);
});

eachWay('runs that the model server refuses', async ({ bench, mock, runs, begin, body }) => {
	// In CGI only for the streamed one: a process that no client waits for has no log.
	bench.expectLog(/^run: /);
	const ways = [
		(thread) => runs.stream(thread, body).finalRun(),
		(thread) => runs.createAndPoll(thread, body),
	];
	for (const carriedOut of ways) {
		mock.nextRequestError(401, { message: 'No.', type: 'authentication_error' });
		const { status: end, last_error } = await carriedOut(await begin('one'));
		assert.deepEqual([end, last_error.code], ['failed', 'server_error']);
	}
});

/** Text as Chat Completions streams it. */
function chatWords(text) {
	const events = [{ delta: { role: 'assistant', content: text } },
		{ delta: {}, finish_reason: 'stop' }]
		.map((choice) => JSON.stringify({ choices: [{ index: 0, ...choice }] }));
	return status(200, { 'content-type': 'text/event-stream' },
		[...events, '[DONE]'].map((data) => `data: ${data}\n\n`).join(''));
}

for (const [way, behind] of [['Apache', behindCgid], ['fcgiwrap', behindFcgiwrap]]) {
	e2e(`CGI by ${way}: that a server lacks the Responses API is found out once`, async (bench) => {
		const model = await modelServer(bench);
		model.otherwise = (response, { path }) =>
			(path === CHAT ? chatWords('hello') : status(404))(response);
		const { site, openai } = await stage(bench, OpenAI, { behind, model });
		const { assistants, threads } = openai.beta;
		const { id: assistant_id } = await assistants.create({ model: 'a-model' });
		const thread = { messages: [{ role: 'user', content: 'one' }] };
		const polled = threads.createAndRunPoll({ assistant_id, thread });
		const { thread_id } = await within(polled, 'the run\'s end');
		const streamed = threads.runs.stream(thread_id, { assistant_id });
		assert.equal((await streamed.finalRun()).status, 'completed');
		const other = await newThread(site);
		for (const words of ['two', 'three']) {
			assert.equal((await say(site, other, words)).text.trimEnd(), 'hello');
		}
		assert.deepEqual(model.requests.map(({ path }) => path),
			[RESPONSES, CHAT, CHAT, CHAT, CHAT]);
	});
}
