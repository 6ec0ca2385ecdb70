// Runs by OpenAI's official client without a stream: polled, cancelled, shared by two programs on one
// database, and left behind by a killed one.

import assert from 'node:assert/strict';
import { eventually, within } from './lib.mjs';
import { connect, conversation, eachSdk, handled, stage, textOf, usageOf } from './lib-sdk.mjs';
import { behindLighttpd } from './lib-servers.mjs';
import { gate, silence, words } from './lib-upstream.mjs';

/** A stage with an assistant, and a function that makes a thread with a user message. */
async function scene(bench, OpenAI) {
	const set = await stage(bench, OpenAI);
	const { assistants, threads } = set.openai.beta;
	const definition = { model: 'a-model', instructions: 'Be brief.', temperature: 0.3 };
	const { id } = await assistants.create(definition);
	const newThread = async (content = 'words') =>
		(await threads.create({ messages: [{ role: 'user', content }] })).id;
	return { ...set, threads, runs: threads.runs, newThread, body: { assistant_id: id } };
}

/** A second program on the same database. */
async function secondProgram(bench, OpenAI, { model, key }) {
	const site = await behindLighttpd(bench, model.env);
	return connect(bench, OpenAI, site, key).beta.threads.runs;
}

const said = ({ json }) => json.input.map(({ content }) => content[0].text ?? content);

eachSdk('every way to start a run and to wait for it', async (bench, OpenAI) => {
	const { openai, threads, runs, newThread, body } = await scene(bench, OpenAI);
	const thread_id = await newThread();
	const created = await runs.create(thread_id, body);
	assert.match(created.status, /^(queued|in_progress)$/);
	const polled = await runs.poll(created.id, { thread_id });
	assert.deepEqual([polled.id, polled.status], [created.id, 'completed']);
	assert.equal((await runs.createAndPoll(thread_id, body)).status, 'completed');

	const thread = { messages: [{ role: 'user', content: 'a new one' }] };
	const both = await threads.createAndRun({ ...body, thread });
	const end = await runs.poll(both.id, { thread_id: both.thread_id });
	assert.equal(end.status, 'completed');
	const all = await threads.createAndRunPoll({ ...body, thread });
	assert.equal(all.status, 'completed');
	assert.notEqual(all.thread_id, both.thread_id);
	for (const id of [both.thread_id, all.thread_id]) {
		assert.deepEqual(await conversation(openai, id),
			[['user', 'a new one'], ['assistant', 'hello']]);
	}
});

eachSdk('a run uses its own options, else its assistant\'s',
	async (bench, OpenAI) => {
		const { openai, runs, newThread, model, body } = await scene(bench, OpenAI);
		const thread = await newThread('one');
		await runs.createAndPoll(thread, body);
		await runs.createAndPoll(thread, {
			...body, additional_instructions: 'Call the user Jane.',
			additional_messages: [
				{ role: 'assistant', content: 'two' }, { role: 'user', content: 'three' },
			],
		});
		await runs.createAndPoll(thread, {
			...body, model: 'another-model', instructions: 'Be long.', temperature: 1.5,
			max_completion_tokens: 300,
			truncation_strategy: { type: 'last_messages', last_messages: 2 },
		});
		const [first, second, third] = model.requests;
		const options = [first, second, third].map(({ json }) =>
			[json.model, json.instructions, json.temperature, json.max_output_tokens]);
		assert.deepEqual(options, [
			['a-model', 'Be brief.', 0.3, undefined],
			['a-model', 'Be brief.\n\nCall the user Jane.', 0.3, undefined],
			['another-model', 'Be long.', 1.5, 300],
		]);
		assert.deepEqual([first, second, third].map(said),
			[['one'], ['one', 'hello\n\ntwo', 'three'], ['three', 'hello']]);
		assert.equal((await conversation(openai, thread)).length, 6, 'all of it is kept');
	});

eachSdk('a run that waits on the model is cancelled, and the thread is free',
	async (bench, OpenAI) => {
		const { openai, runs, newThread, model, body } = await scene(bench, OpenAI);
		model.queue.push(silence());
		const thread_id = await newThread();
		const { id } = await runs.create(thread_id, body);
		await eventually('the model is asked', () => model.requests.length === 1);
		const cancelled = await runs.cancel(id, { thread_id });
		assert.match(cancelled.status, /^cancell(ing|ed)$/);
		const run = await runs.poll(id, { thread_id });
		assert.equal(run.status, 'cancelled');
		assert.ok(run.cancelled_at >= run.started_at);
		assert.deepEqual(run.usage, usageOf(4, 0));
		await within(model.requests[0].left, 'the model is left');
		assert.equal((await runs.createAndPoll(thread_id, body)).status, 'completed');
		assert.deepEqual(await conversation(openai, thread_id),
			[['user', 'words'], ['assistant', 'hello']]);
	});

eachSdk('a stream whose run is cancelled ends with that event', async (bench, OpenAI) => {
	const { openai, runs, newThread, model, body } = await scene(bench, OpenAI);
	const held = gate();
	model.queue.push(words('The words so far, and more', held.opened));
	const thread_id = await newThread();
	const stream = runs.stream(thread_id, body);
	await handled(stream, 'textDelta');
	await runs.cancel(stream.currentRun().id, { thread_id });
	const events = [];
	stream.on('event', ({ event }) => events.push(event));
	const run = await stream.finalRun();
	assert.equal(run.status, 'cancelled');
	// The model was sent "words" and "Be brief."; its server could not count the answer any more.
	const { prompt_tokens, completion_tokens, total_tokens } = run.usage;
	assert.equal(prompt_tokens, Math.ceil('wordsBe brief.'.length / 4));
	assert.ok(Number.isInteger(completion_tokens) && completion_tokens > 0);
	assert.equal(total_tokens, prompt_tokens + completion_tokens);
	assert.deepEqual((await runs.retrieve(run.id, { thread_id })).usage, run.usage);
	assert.deepEqual(events.slice(-3), ['thread.message.incomplete',
		'thread.run.step.cancelled', 'thread.run.cancelled']);
	const { data: [message] } = await openai.beta.threads.messages.list(thread_id);
	assert.deepEqual([message.status, message.incomplete_details],
		['incomplete', { reason: 'run_cancelled' }]);
	assert.match('The words so far, and more', new RegExp(`^${textOf(message)}`));
	held.open();
});

eachSdk('a run that is only queued is cancelled at once', async (bench, OpenAI) => {
	const { runs, newThread, model, body } = await scene(bench, OpenAI);
	model.otherwise = silence();
	// Runners execute eight at a time.
	const started = [];
	for (let i = 0; i < 9; i++) {
		const thread_id = await newThread();
		started.push([(await runs.create(thread_id, body)).id, { thread_id }]);
	}
	await eventually('the model is asked', () => model.requests.length === 8);
	const [id, at] = started.pop();
	assert.equal((await runs.retrieve(id, at)).status, 'queued');
	assert.equal((await runs.cancel(id, at)).status, 'cancelled');
	for (const [one, where] of started) await runs.cancel(one, where);
	for (const [one, where] of started) {
		assert.equal((await runs.poll(one, where)).status, 'cancelled');
	}
	assert.equal(model.requests.length, 8, 'the cancelled one was never asked for');
});

eachSdk('two programs serve one database: polled, cancelled and continued by the other',
	async (bench, OpenAI) => {
		const set = await scene(bench, OpenAI);
		const { openai, runs, newThread, model, body } = set;
		const other = await secondProgram(bench, OpenAI, set);
		const thread_id = await newThread();
		const held = gate();
		model.queue.push(words('from the first', held.opened), silence());
		const { id } = await runs.create(thread_id, body);
		await eventually('the model is asked', () => model.requests.length === 1);
		assert.equal((await other.retrieve(id, { thread_id })).status, 'in_progress');
		await assert.rejects(other.create(thread_id, body), OpenAI.BadRequestError);
		held.open();
		assert.equal((await other.poll(id, { thread_id })).status, 'completed');

		const second = await runs.create(thread_id, body);
		await eventually('the model is asked', () => model.requests.length === 2);
		await other.cancel(second.id, { thread_id });
		assert.equal((await other.poll(second.id, { thread_id })).status, 'cancelled');
		await within(model.requests[1].left, 'the model is left');
		assert.equal((await other.createAndPoll(thread_id, body)).status, 'completed');
		assert.deepEqual(await conversation(openai, thread_id),
			[['user', 'words'], ['assistant', 'from the first'], ['assistant', 'hello']]);
	});

eachSdk('a run whose program is killed is ended by the other program',
	async (bench, OpenAI) => {
		const set = await scene(bench, OpenAI);
		const { site, runs, newThread, model, body } = set;
		const other = await secondProgram(bench, OpenAI, set);
		const thread_id = await newThread();
		model.queue.push(silence());
		const { id } = await runs.create(thread_id, body);
		await eventually('the model is asked', () => model.requests.length === 1);
		await site.kill();
		const run = await other.poll(id, { thread_id });
		assert.deepEqual([run.status, run.last_error.code], ['failed', 'server_error']);
		assert.equal((await other.createAndPoll(thread_id, body)).status, 'completed');
	});
