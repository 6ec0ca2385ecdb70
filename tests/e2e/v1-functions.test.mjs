// Function tools by OpenAI's official client: the model calls, the client's program answers; by streams, by
// polling, and by both.

import assert from 'node:assert/strict';
import { LLMock } from '@copilotkit/aimock';
import { KEY } from './lib.mjs';
import { connect, conversation, eachSdk, handled, stage, textOf, usageOf } from './lib-sdk.mjs';
import { database, sql } from './lib-state.mjs';
import { functionCalls, words } from './lib-upstream.mjs';

const TOOL = { type: 'function', function: {
	name: 'get_stock_price', description: 'Get the current stock price', strict: false,
	parameters: {
		type: 'object', required: ['symbol'],
		properties: { symbol: { type: 'string', description: 'The stock symbol' } },
	},
} };
const CALLS = [
	['call_apple', 'get_stock_price', '{"symbol":"AAPL"}'],
	['call_meta', 'get_stock_price', '{"symbol":"META"}'],
];
const OUTPUTS = [
	{ tool_call_id: 'call_apple', output: '100' }, { tool_call_id: 'call_meta', output: '233' },
];
const THIRD = ['call_third', 'get_stock_price', '{"symbol":"GOOG"}'];
const ANSWER = 'Apple is at 100, Meta at 233.';
const ACTION = { type: 'submit_tool_outputs', submit_tool_outputs: {
	tool_calls: CALLS.map(([id, name, args]) =>
		({ id, type: 'function', function: { name, arguments: args } })),
} };
const ANSWERED = CALLS.map(([id, name, args], i) =>
	({ id, type: 'function', function: { name, arguments: args, output: OUTPUTS[i].output } }));

async function scene(bench, OpenAI, options) {
	const set = await stage(bench, OpenAI, options);
	const { assistants, threads } = set.openai.beta;
	const { id } = await assistants.create({ model: 'a-model', tools: [TOOL] });
	const messages = [{ role: 'user', content: 'What is the stock of apple and facebook?' }];
	const { id: thread_id } = await threads.create({ messages });
	return { ...set, runs: threads.runs, thread_id, body: { assistant_id: id } };
}

/** The calls and outputs in a request to the model, [type, call_id, content], in order. */
function replayed({ json }) {
	return json.input.filter(({ call_id }) => call_id).map((item) =>
		[item.type, item.call_id, item.arguments ?? item.output]);
}

async function assertSteps({ runs, thread_id }, run_id) {
	const { data } = await runs.steps.list(run_id, { thread_id, order: 'asc' });
	assert.deepEqual(data.map(({ type, status }) => [type, status]),
		[['tool_calls', 'completed'], ['message_creation', 'completed']]);
	assert.deepEqual(data[0].step_details, { type: 'tool_calls', tool_calls: ANSWERED });
}

eachSdk('two calls side by side, by polling', async (bench, OpenAI) => {
	const set = await scene(bench, OpenAI);
	const { openai, model, runs, thread_id, body } = set;
	model.queue.push(functionCalls(...CALLS), words(ANSWER));
	const waiting = await runs.createAndPoll(thread_id, body);
	assert.deepEqual([waiting.status, waiting.required_action], ['requires_action', ACTION]);
	const { data: [open] } = await runs.steps.list(waiting.id, { thread_id });
	assert.deepEqual([open.status, open.completed_at], ['in_progress', null]);

	// In another order than the calls.
	const tool_outputs = OUTPUTS.toReversed();
	const queued = await runs.submitToolOutputs(waiting.id, { thread_id, tool_outputs });
	assert.deepEqual([queued.status, queued.required_action], ['queued', null]);
	const run = await runs.poll(waiting.id, { thread_id });
	assert.equal(run.status, 'completed');
	assert.deepEqual(run.usage, usageOf(22, 14), 'of both rounds');
	await assertSteps(set, run.id);
	assert.deepEqual((await conversation(openai, thread_id)).at(-1), ['assistant', ANSWER]);

	const [first, second] = model.requests;
	assert.deepEqual(first.json.tools, [{ type: 'function', ...TOOL.function }]);
	assert.deepEqual(replayed(second), [
		['function_call', 'call_apple', '{"symbol":"AAPL"}'],
		['function_call', 'call_meta', '{"symbol":"META"}'],
		['function_call_output', 'call_apple', '100'],
		['function_call_output', 'call_meta', '233'],
	]);
});

eachSdk('two calls side by side, by streams', async (bench, OpenAI) => {
	const set = await scene(bench, OpenAI);
	const { openai, model, runs, thread_id, body } = set;
	model.queue.push(functionCalls(...CALLS), words(ANSWER));
	const stream = runs.stream(thread_id, body);
	const events = [], called = [], deltas = [];
	stream.on('event', ({ event }) => events.push(event))
		.on('runStepCreated', () => called.push('runStepCreated'))
		.on('toolCallCreated', ({ id }) => called.push(`created ${id}`))
		.on('toolCallDelta', (delta) => deltas.push(structuredClone(delta)))
		.on('toolCallDone', ({ id }) => called.push(`done ${id}`))
		.on('runStepDone', () => called.push('runStepDone'));
	const waiting = await stream.finalRun();
	assert.deepEqual([waiting.status, waiting.required_action], ['requires_action', ACTION]);
	assert.deepEqual(called, ['runStepCreated', 'created call_apple', 'done call_apple',
		'created call_meta', 'done call_meta']);
	for (const [index, [, , args]] of CALLS.entries()) {
		const pieces = deltas.filter((delta) => delta.index === index);
		assert.equal(pieces.map((piece) => piece.function.arguments).join(''), args);
	}
	assert.deepEqual(events.filter((event) => event !== 'thread.run.step.delta'), [
		'thread.run.created', 'thread.run.queued', 'thread.run.in_progress',
		'thread.run.step.created', 'thread.run.step.in_progress',
		'thread.run.requires_action',
	]);
	const [step] = await stream.finalRunSteps();
	assert.deepEqual(step.step_details.tool_calls.map(({ function: { name, output } }) =>
		[name, output]), [['get_stock_price', null], ['get_stock_price', null]]);

	const rest = runs.submitToolOutputsStream(waiting.id,
		{ thread_id, tool_outputs: OUTPUTS });
	const more = [], done = [];
	rest.on('event', ({ event }) => more.push(event))
		.on('runStepDone', ({ step_details }) => done.push(step_details));
	assert.equal((await rest.finalRun()).status, 'completed');
	assert.equal(textOf((await rest.finalMessages())[0]), ANSWER);
	assert.deepEqual(done[0].tool_calls, ANSWERED);
	assert.deepEqual(more.filter((event) => event !== 'thread.message.delta'), [
		'thread.run.step.completed', 'thread.run.queued', 'thread.run.in_progress',
		'thread.run.step.created', 'thread.run.step.in_progress', 'thread.message.created',
		'thread.message.in_progress', 'thread.message.completed',
		'thread.run.step.completed', 'thread.run.completed',
	]);
	await assertSteps(set, waiting.id);
	assert.equal((await conversation(openai, thread_id)).length, 2);
});

eachSdk('several rounds', async (bench, OpenAI) => {
	const { openai, model, runs, thread_id, body } = await scene(bench, OpenAI);
	model.queue.push(functionCalls(...CALLS), functionCalls(THIRD), words(ANSWER));
	const first = await runs.createAndPoll(thread_id, body);
	const second = await runs.submitToolOutputsAndPoll(first.id,
		{ thread_id, tool_outputs: OUTPUTS });
	assert.equal(second.status, 'requires_action');
	const { tool_calls: [call] } = second.required_action.submit_tool_outputs;
	assert.equal(call.id, 'call_third');
	const tool_outputs = [{ tool_call_id: call.id, output: '7' }];
	const run = await runs.submitToolOutputsAndPoll(second.id, { thread_id, tool_outputs });
	assert.equal(run.status, 'completed');
	assert.deepEqual(replayed(model.requests[2]).map(([type, id]) => [type, id]), [
		['function_call', 'call_apple'], ['function_call', 'call_meta'],
		['function_call_output', 'call_apple'], ['function_call_output', 'call_meta'],
		['function_call', 'call_third'], ['function_call_output', 'call_third'],
	]);
	const { data } = await runs.steps.list(run.id, { thread_id, order: 'asc' });
	assert.deepEqual(data.map(({ type }) => type),
		['tool_calls', 'tool_calls', 'message_creation']);
	// The calls belong to the conversation from then on.
	await openai.beta.threads.messages.create(thread_id, { role: 'user', content: 'And now?' });
	assert.equal((await runs.createAndPoll(thread_id, body)).status, 'completed');
	assert.equal(replayed(model.requests[3]).length, 6);
});

eachSdk('one client streams a run while another polls it and answers its calls',
	async (bench, OpenAI) => {
		const { openai, site, key, model, runs, thread_id, body } = await scene(bench, OpenAI);
		model.queue.push(functionCalls(...CALLS), words(ANSWER));
		const stream = runs.stream(thread_id, body);
		const { run_id: id } = await handled(stream, 'runStepCreated');
		const other = connect(bench, OpenAI, site, key).beta.threads.runs;
		assert.equal((await other.poll(id, { thread_id })).status, 'requires_action');
		const rest = await other.submitToolOutputsAndPoll(id,
			{ thread_id, tool_outputs: OUTPUTS });
		assert.equal(rest.status, 'completed');
		assert.equal((await stream.finalRun()).status, 'requires_action', 'its stream ends there');
		assert.deepEqual((await conversation(openai, thread_id)).at(-1), ['assistant', ANSWER]);
	});

eachSdk('outputs that do not fit, and those that come too late', async (bench, OpenAI) => {
	const { model, runs, thread_id, body } = await scene(bench, OpenAI);
	model.queue.push(functionCalls(...CALLS));
	const { id } = await runs.createAndPoll(thread_id, body);
	const submit = (tool_outputs) => runs.submitToolOutputs(id, { thread_id, tool_outputs });
	const refused = (message) => (error) => {
		assert.ok(error instanceof OpenAI.BadRequestError, error);
		assert.ok(error.message.includes(message), error.message);
		return true;
	};
	await assert.rejects(submit(OUTPUTS.slice(0, 1)), refused(
		'Expected tool outputs for call_ids [\'call_apple\', \'call_meta\'], got [\'call_apple\']'));
	await assert.rejects(submit([...OUTPUTS.slice(0, 1), { tool_call_id: 'other', output: '' }]),
		refused('got [\'call_apple\', \'other\']'));
	assert.equal((await runs.retrieve(id, { thread_id })).status, 'requires_action');
	assert.equal((await runs.cancel(id, { thread_id })).status, 'cancelled');
	await assert.rejects(submit(OUTPUTS),
		refused('Runs in status "cancelled" do not accept tool outputs.'));
	const { data: [step] } = await runs.steps.list(id, { thread_id });
	assert.equal(step.status, 'cancelled');
});

eachSdk('calls that are not answered expire, and the thread is free', async (bench, OpenAI) => {
	const { openai, model, runs, thread_id, body } = await scene(bench, OpenAI);
	model.queue.push(functionCalls(...CALLS));
	const { id } = await runs.createAndPoll(thread_id, body);
	// Makes its time be over, without waiting.
	sql(database(bench), `UPDATE runs SET expires_at = created_at - 1 WHERE id = '${id}'`);
	await assert.rejects(runs.submitToolOutputs(id, { thread_id, tool_outputs: OUTPUTS }),
		/Runs in status "expired" do not accept tool outputs\./);
	assert.equal((await runs.retrieve(id, { thread_id })).status, 'expired');
	const { data: [step] } = await runs.steps.list(id, { thread_id });
	assert.equal(step.status, 'expired');
	await openai.beta.threads.messages.create(thread_id, { role: 'user', content: 'Hello?' });
});

eachSdk('the same with another model server', async (bench, OpenAI) => {
	const mock = new LLMock({ port: 0, host: '127.0.0.1', chunkSize: 5 });
	mock.addFixture({
		match: { userMessage: 'What is the stock', hasToolResult: false },
		response: { toolCalls: CALLS.map(([id, name, args]) => ({ id, name, arguments: args })) },
	});
	mock.addFixture({
		match: { userMessage: 'What is the stock', hasToolResult: true },
		response: { content: ANSWER },
	});
	await mock.start();
	bench.onClose(() => mock.stop());
	const env = { OPENAI_BASE_URL: `${mock.url}/v1`, OPENAI_API_KEY: KEY };
	const { runs, thread_id, body } = await scene(bench, OpenAI, { model: { env } });
	const waiting = await runs.createAndPoll(thread_id, body);
	assert.equal(waiting.status, 'requires_action');
	const { tool_calls } = waiting.required_action.submit_tool_outputs;
	assert.deepEqual(tool_calls.map(({ function: { arguments: args } }) => JSON.parse(args)),
		[{ symbol: 'AAPL' }, { symbol: 'META' }]);
	const tool_outputs = tool_calls.map(({ id }) => ({ tool_call_id: id, output: '1' }));
	const stream = runs.submitToolOutputsStream(waiting.id, { thread_id, tool_outputs });
	assert.equal(textOf((await stream.finalMessages())[0]), ANSWER);
});
