// Streams as OpenAI's official client reads them: each of its handlers, its iterators, its snapshots; and a
// client that leaves in the middle.

import assert from 'node:assert/strict';
import { eventually } from './lib.mjs';
import { connect, conversation, eachSdk, handled, stage, textOf } from './lib-sdk.mjs';
import { failed, gate, incomplete, refusal, status, words } from './lib-upstream.mjs';

const WORDS = 'Subtract 11 first: 3x = 3. Grüße & "quotes" – 数学 🎓';
const MESSAGE = ['thread.run.step.created', 'thread.run.step.in_progress',
	'thread.message.created', 'thread.message.in_progress', 'thread.message.delta'];
const BEGIN = ['thread.run.created', 'thread.run.queued', 'thread.run.in_progress'];
const END = ['thread.message.completed', 'thread.run.step.completed', 'thread.run.completed'];
const HANDLERS = ['connect', 'messageCreated', 'messageDelta', 'messageDone', 'runStepCreated',
	'runStepDelta', 'runStepDone', 'toolCallCreated', 'toolCallDelta', 'toolCallDone',
	'textCreated', 'textDelta', 'textDone', 'imageFileDone', 'error', 'abort', 'end'];

// Repeated names in a row count once.
const collapsed = (names) => names.filter((name, i) => name !== names[i - 1]);

/**
 * Record which handlers are called, with a copy of the arguments, because clients change them
 * later.
 */
function listen(stream) {
	const called = [];
	for (const name of HANDLERS) {
		stream.on(name, (...args) => called.push([name, ...structuredClone(args)]));
	}
	return called;
}

const namesOf = (called) => called.map(([name]) => name);
const first = (called, name) => called.find((call) => call[0] === name)[1];

async function eventsOf(stream) {
	const names = [];
	for await (const { event } of stream) names.push(event);
	return collapsed(names);
}

/** A stage with an assistant and a thread with a user message. */
async function scene(bench, OpenAI, options) {
	const set = await stage(bench, OpenAI, options);
	const { beta } = set.openai;
	const assistant = await beta.assistants.create({ model: 'a-model' });
	const messages = [{ role: 'user', content: 'I need to solve 3x + 11 = 14' }];
	const { id: thread } = await beta.threads.create({ messages });
	return { ...set, runs: beta.threads.runs, thread, body: { assistant_id: assistant.id } };
}

eachSdk('a stream calls every handler, and adds up to what is stored', async (bench, OpenAI) => {
	const { openai, model, body } = await scene(bench, OpenAI);
	model.queue.push(words(WORDS));
	const { threads } = openai.beta;
	const stream = threads.createAndRunStream({
		...body, thread: { messages: [{ role: 'user', content: 'Help me' }] },
	});
	const called = listen(stream), events = [];
	stream.on('event', ({ event }) => events.push(event));
	const [run, messages, steps] =
		[await stream.finalRun(), await stream.finalMessages(), await stream.finalRunSteps()];

	assert.deepEqual(collapsed(events), ['thread.created', ...BEGIN, ...MESSAGE, ...END]);
	const once = namesOf(called).filter((name) => !['messageDelta', 'textDelta'].includes(name));
	assert.deepEqual(once, ['connect', 'runStepCreated', 'messageCreated', 'textCreated',
		'textDone', 'messageDone', 'runStepDone', 'end']);
	const deltas = called.filter(([name]) => name === 'textDelta');
	assert.ok(deltas.length > 3, 'in pieces');
	assert.equal(deltas.map(([, { value }]) => value).join(''), WORDS);
	assert.equal(called.filter(([name]) => name === 'messageDelta').length, deltas.length);
	assert.equal(first(called, 'textDone').value, WORDS);

	const thread_id = run.thread_id;
	assert.deepEqual(run, await threads.runs.retrieve(run.id, { thread_id }));
	assert.equal(run.status, 'completed');
	assert.deepEqual(messages.map(textOf), [WORDS]);
	assert.deepEqual(first(called, 'messageDone'),
		await threads.messages.retrieve(messages[0].id, { thread_id }));
	assert.deepEqual(steps, [
		await threads.runs.steps.retrieve(steps[0].id, { thread_id, run_id: run.id }),
	]);
	assert.deepEqual(await conversation(openai, thread_id),
		[['user', 'Help me'], ['assistant', WORDS]]);
});

eachSdk('a stream is iterated over, by the helper and without it', async (bench, OpenAI) => {
	const { model, runs, thread, body } = await scene(bench, OpenAI);
	const all = [...BEGIN, ...MESSAGE, ...END];
	model.otherwise = words(WORDS);
	assert.deepEqual(await eventsOf(runs.stream(thread, body)), all);
	assert.deepEqual(await eventsOf(runs.createAndStream(thread, body)), all);
	// Without the helper, some majors pass the end on, and some do not.
	const raw = await eventsOf(await runs.create(thread, { ...body, stream: true }));
	assert.deepEqual(raw.filter((event) => event !== 'done'), all);
});

eachSdk('a stream goes through a program of one\'s own to another client',
	async (bench, OpenAI) => {
		const { model, runs, thread, body } = await scene(bench, OpenAI);
		model.queue.push(words(WORDS));
		const sent = runs.stream(thread, body);
		const received = sent.constructor.fromReadableStream(sent.toReadableStream());
		const [message] = await received.finalMessages();
		assert.equal(textOf(message), WORDS);
		assert.equal((await received.finalRun()).status, 'completed');
	});

eachSdk('deltas arrive while the model still speaks', async (bench, OpenAI) => {
	const { model, runs, thread, body } = await scene(bench, OpenAI);
	const held = gate();
	model.queue.push(words(WORDS, held.opened));
	const stream = runs.stream(thread, body);
	const { value: begun } = await handled(stream, 'textDelta');
	assert.ok(begun !== WORDS && WORDS.startsWith(begun));
	assert.equal(stream.currentRun().status, 'in_progress');
	assert.equal(textOf(stream.currentMessageSnapshot()), begun);
	held.open();
	assert.equal(textOf((await stream.finalMessages())[0]), WORDS);
});

eachSdk('a run that fails ends its stream', async (bench, OpenAI) => {
	bench.expectLog(/^run: /);
	const { model, runs, thread, body } = await scene(bench, OpenAI);
	model.queue.push(failed());
	const stream = runs.stream(thread, body);
	const called = listen(stream), run = await stream.finalRun();
	assert.equal(run.status, 'failed');
	assert.equal(run.last_error.code, 'server_error');
	assert.deepEqual(namesOf(called), ['connect', 'end']);
	assert.deepEqual(await runs.retrieve(run.id, { thread_id: thread }), run);
});

eachSdk('a run that is cut short ends its stream', async (bench, OpenAI) => {
	const { model, runs, thread, body } = await scene(bench, OpenAI);
	model.queue.push(incomplete('As far as'));
	const stream = runs.stream(thread, body), called = listen(stream);
	// Major 4 waits for another end, and reports an error.
	await stream.done().catch((error) => assert.match(error.message, /Final run/));
	const message = first(called, 'messageDone');
	assert.deepEqual([message.status, message.incomplete_details, textOf(message)],
		['incomplete', { reason: 'max_tokens' }, 'As far as']);
	const run = stream.currentRun();
	assert.deepEqual([run.status, run.incomplete_details],
		['incomplete', { reason: 'max_completion_tokens' }]);
});

eachSdk('a busy model server is reported in last_error', async (bench, OpenAI) => {
	bench.expectLog(/^run: /);
	const { model, runs, thread, body } = await scene(bench, OpenAI);
	model.otherwise = status(429, { 'retry-after': '0' });
	const run = await runs.stream(thread, body).finalRun();
	assert.deepEqual([run.status, run.last_error.code], ['failed', 'rate_limit_exceeded']);
});

eachSdk('a refusal is streamed as one', async (bench, OpenAI) => {
	const { model, runs, thread, body } = await scene(bench, OpenAI);
	const refused = 'I would rather not.';
	model.queue.push(refusal(refused));
	const stream = runs.stream(thread, body), called = listen(stream);
	assert.equal((await stream.finalRun()).status, 'completed');
	assert.deepEqual(first(called, 'messageDone').content, [{ type: 'refusal', refusal: refused }]);
	const deltas = called.filter(([name]) => name === 'messageDelta');
	assert.equal(deltas.map(([, { content }]) => content[0].refusal).join(''), refused);
});

eachSdk('a stream that is refused is an error', async (bench, OpenAI) => {
	const { runs, thread } = await scene(bench, OpenAI);
	const stream = runs.stream(thread, { assistant_id: `asst_${'0'.repeat(24)}` });
	const called = listen(stream);
	await assert.rejects(stream.finalRun(), OpenAI.NotFoundError);
	assert.deepEqual(namesOf(called), ['error', 'end']);
});

eachSdk('a run goes on when its client leaves the stream', async (bench, OpenAI) => {
	const { openai, site, key, model, runs, thread, body } = await scene(bench, OpenAI);
	const ways = [
		async (stream) => {
			await handled(stream, 'textDelta');
			stream.on('abort', () => {}).abort();
			await assert.rejects(stream.done(), OpenAI.APIUserAbortError);
		},
		async (stream) => {
			for await (const { event } of stream) {
				if (event === 'thread.message.delta') break;
			}
		},
	];
	for (const leave of ways) {
		const held = gate();
		model.queue.push(words(WORDS, held.opened));
		const stream = runs.stream(thread, body);
		await leave(stream);
		const { id } = stream.currentRun();
		const other = connect(bench, OpenAI, site, key).beta.threads.runs;
		assert.equal((await other.retrieve(id, { thread_id: thread })).status, 'in_progress');
		held.open();
		const run = await other.poll(id, { thread_id: thread });
		assert.equal(run.status, 'completed');
	}
	const said = await conversation(openai, thread);
	assert.deepEqual(said.slice(1), [['assistant', WORDS], ['assistant', WORDS]]);
	await eventually('nothing is left', () => model.queue.length === 0);
});
