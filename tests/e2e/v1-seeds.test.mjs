// Programs and notebooks that people wrote for the Assistants API, unchanged but for the language. Where
// they use code interpreter or file search, these are only stored so far.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from './lib.mjs';
import { USUAL_SEARCH, conversation, eachSdk, stage, textOf } from './lib-sdk.mjs';
import { functionCalls, gate, words } from './lib-upstream.mjs';

// The warning of a run whose assistant has tools that are not served yet.
const STORED_ONLY = /^the run has the tools .*only stored so far/;

const EQUATION = 'I need to solve the equation `3x + 11 = 14`. Can you help me?';
const STOCKS = 'What is the stock of apple and facebook rn?';
const SAID = {
	[EQUATION]: 'Subtract 11 from both sides to get \\(3x = 3\\), then \\(x = 1\\).',
	'Could you explain this to me?': 'Certainly! Isolate \\(x\\).',
	'Could you explain linear algebra to me?': 'It is about vector spaces.',
	'I don\'t like math. What can I do?': 'Try fun games.',
	'Thank you!': 'You\'re welcome!',
};

/** Make the model answer the last message. */
function speak(model) {
	model.otherwise = (response, { json }) => {
		const { content } = json.input.at(-1);
		const asked = typeof content === 'string' ? content : content[0].text;
		return words(SAID[asked])(response);
	};
}

// The overview's wait_on_run(), with a shorter pause.
async function waitOnRun(runs, run) {
	let { status } = run;
	while (status === 'queued' || status === 'in_progress') {
		run = await runs.retrieve(run.id, { thread_id: run.thread_id });
		({ status } = run);
		await sleep(10);
	}
	return run;
}

eachSdk('the playground\'s log of two calls side by side', async (bench, OpenAI) => {
	bench.expectLog(STORED_ONLY);
	const { openai, model } = await stage(bench, OpenAI);
	const { assistants, threads } = openai.beta;
	const { messages, runs } = threads;
	const tools = [{ type: 'code_interpreter' }, { type: 'file_search' }, {
		type: 'function', function: {
			name: 'get_stock_price', description: 'Get the current stock price',
			parameters: {
				type: 'object', required: ['symbol'],
				properties: {
					symbol: { type: 'string', description: 'The stock symbol' },
				},
			},
		},
	}];
	const assistant = await assistants.create({
		model: 'gpt-4-1106-preview', tools,
		instructions: 'Be a friendly finance bro who will help me with trading',
	});
	const held = gate();
	const calls = [
		['call_E5aMr3eMMhoHmhPpjVWxhxDN', 'get_stock_price', '{"symbol": "AAPL"}'],
		['call_k3di6catEDyJI62WJz4ryGLW', 'get_stock_price', '{"symbol": "META"}'],
	];
	const answered = functionCalls(...calls);
	model.queue.push(async (response) => {
		await held.opened;
		await answered(response);
	}, words('Apple (AAPL) is $100 and Meta (META) is $233.'));

	const { id: thread_id, metadata } = await threads.create();
	assert.deepEqual(metadata, {});
	const message = await messages.create(thread_id, { role: 'user', content: STOCKS });
	assert.deepEqual([message.assistant_id, message.run_id], [null, null]);
	const empty = await runs.list(thread_id);
	assert.deepEqual([empty.data, empty.has_more], [[], false]);
	assert.deepEqual((await messages.list(thread_id)).data, [message]);

	const run = await runs.create(thread_id, { assistant_id: assistant.id });
	assert.deepEqual([run.status, run.started_at, run.expires_at - run.created_at],
		['queued', null, 600]);
	assert.deepEqual([run.model, run.instructions, run.tools],
		[assistant.model, assistant.instructions, [tools[0], USUAL_SEARCH,
			{ ...tools[2], function: { ...tools[2].function, strict: false } }]]);
	const at = { thread_id };
	await eventually('it begins', async () =>
		(await runs.retrieve(run.id, at)).status === 'in_progress');
	held.open();
	const waiting = await waitOnRun(runs, run);
	assert.equal(waiting.status, 'requires_action');
	const { tool_calls } = waiting.required_action.submit_tool_outputs;
	assert.deepEqual(tool_calls.map((call) =>
		[call.id, call.function.name, call.function.arguments]), calls);
	assert.deepEqual((await runs.list(thread_id)).data, [waiting]);
	const { data: [open] } = await runs.steps.list(run.id, at);
	assert.deepEqual([open.type, open.status, open.expires_at],
		['tool_calls', 'in_progress', run.expires_at]);

	const outputs = ['100', '233'];
	const queued = await runs.submitToolOutputs(run.id, { ...at, tool_outputs:
		calls.map(([id], i) => ({ tool_call_id: id, output: outputs[i] })) });
	assert.equal(queued.status, 'queued');
	const completed = await waitOnRun(runs, queued);
	assert.deepEqual([completed.status, completed.expires_at, completed.required_action],
		['completed', null, null]);
	assert.ok(completed.completed_at >= completed.started_at);
	const { data: steps } = await runs.steps.list(run.id, at);
	assert.deepEqual(steps.map(({ type, status, expires_at }) => [type, status, expires_at]),
		[['message_creation', 'completed', null], ['tool_calls', 'completed', null]]);
	assert.deepEqual(steps[1].step_details.tool_calls.map(({ id, ...call }) =>
		[id, call.function.name, call.function.arguments, call.function.output]),
	calls.map((call, i) => [...call, outputs[i]]));
	const { data: [latest, first] } = await messages.list(thread_id);
	assert.deepEqual([textOf(latest), latest.assistant_id, latest.run_id],
		['Apple (AAPL) is $100 and Meta (META) is $233.', assistant.id, run.id]);
	assert.equal(steps[0].step_details.message_creation.message_id, latest.id);
	assert.deepEqual(first, message);
	// Of the three tools, the model was sent only the function.
	assert.deepEqual(model.requests[0].json.tools.map(({ type }) => type), ['function']);
});

eachSdk('a worker with one assistant, found by its name, that answers in plain text',
	async (bench, OpenAI) => {
		const { openai, model } = await stage(bench, OpenAI);
		const { assistants, threads } = openai.beta;
		const NAME = 'The hardcoded one';
		model.otherwise = words('The answer.');
		// With other assistants the list has more than one page.
		for (let i = 0; i < 25; i++) await assistants.create({ model: 'a', name: `${i}` });
		async function assistantId() {
			for await (const { id, name } of assistants.list()) if (name === NAME) return id;
			return (await assistants.create({ model: 'a-model', name: NAME })).id;
		}
		async function answer(thread_id, content) {
			await threads.messages.create(thread_id, { role: 'user', content });
			const assistant_id = await assistantId();
			const run = await threads.runs.create(thread_id, { assistant_id });
			const { status } = await waitOnRun(threads.runs, run);
			assert.equal(status, 'completed');
			return textOf((await threads.messages.list(thread_id)).data[0]);
		}
		const thread = await threads.create();
		assert.equal(await answer(thread.id, 'one'), 'The answer.');
		const id = await assistantId();
		for (let i = 0; i < 25; i++) await assistants.create({ model: 'a', name: `${i}` });
		assert.equal(await answer(thread.id, 'two'), 'The answer.');
		assert.equal(await assistantId(), id, 'it was created once');
	});

eachSdk('the math tutor of the overview, three conversations at once', async (bench, OpenAI) => {
	const { openai, model } = await stage(bench, OpenAI);
	const { threads } = openai.beta;
	speak(model);
	const { id: assistant_id } = await openai.beta.assistants.create({
		name: 'Math Tutor', model: 'gpt-4o', instructions:
			'You are a personal math tutor. Answer questions briefly, in a sentence or less.',
	});
	const submitMessage = async (thread_id, content) => {
		await threads.messages.create(thread_id, { role: 'user', content });
		return threads.runs.create(thread_id, { assistant_id });
	};
	const createThreadAndRun = async (content) =>
		submitMessage((await threads.create()).id, content);

	const [first, second, third] = await Promise.all([
		EQUATION, 'Could you explain linear algebra to me?',
		'I don\'t like math. What can I do?',
	].map(createThreadAndRun));
	for (const run of [first, second, third]) {
		assert.equal((await waitOnRun(threads.runs, run)).status, 'completed');
		const [[, asked], [role, answered]] = await conversation(openai, run.thread_id);
		assert.deepEqual([role, answered], ['assistant', SAID[asked]]);
	}
	await waitOnRun(threads.runs, await submitMessage(third.thread_id, 'Thank you!'));
	assert.deepEqual((await conversation(openai, third.thread_id)).map(([, text]) => text), [
		'I don\'t like math. What can I do?', 'Try fun games.', 'Thank you!',
		'You\'re welcome!',
	]);

	// What came after the last question, oldest first.
	const thread_id = first.thread_id;
	const content = 'Could you explain this to me?';
	const asked = await threads.messages.create(thread_id, { role: 'user', content });
	await threads.runs.createAndPoll(thread_id, { assistant_id });
	const { data } = await threads.messages.list(thread_id, { order: 'asc', after: asked.id });
	assert.deepEqual(data.map(textOf), [SAID[content]]);
});

const DISPLAY_QUIZ = {
	name: 'display_quiz', strict: false,
	description: 'Displays a quiz to the student, and returns the student\'s response. A single '
		+ 'quiz can have multiple questions.',
	parameters: {
		type: 'object', required: ['title', 'questions'],
		properties: {
			title: { type: 'string' },
			questions: { type: 'array', items: {
				type: 'object', required: ['question_text'],
				properties: {
					question_text: { type: 'string' },
					question_type: {
						type: 'string', enum: ['MULTIPLE_CHOICE', 'FREE_RESPONSE'],
					},
					choices: { type: 'array', items: { type: 'string' } },
				},
			} },
		},
	},
};
const QUIZ = { title: 'Math Quiz', questions: [
	{ question_text: 'What is the derivative of f(x) = 3x^2 + 2x - 5?',
		question_type: 'FREE_RESPONSE' },
	{ question_text: 'What is \\( \\int_{0}^{1} 2x \\, dx \\)?',
		question_type: 'MULTIPLE_CHOICE', choices: ['0', '1', '2', '3'] },
] };

eachSdk('the math tutor displays a quiz, and the steps tell', async (bench, OpenAI) => {
	bench.expectLog(STORED_ONLY);
	const { openai, model } = await stage(bench, OpenAI);
	const { assistants, threads } = openai.beta;
	const { id: assistant_id } = await assistants.create({ name: 'Math Tutor', model: 'gpt-4o' });
	const stored = await assistants.update(assistant_id,
		{ tools: [{ type: 'code_interpreter' }, { type: 'file_search' }] });
	assert.deepEqual(stored.tools.map(({ type }) => type), ['code_interpreter', 'file_search']);
	const tools = [...stored.tools, { type: 'function', function: DISPLAY_QUIZ }];
	const changed = (await assistants.update(assistant_id, { tools })).tools;
	assert.deepEqual(changed.slice(0, 2), tools.slice(0, 2));
	assert.deepEqual(changed[2].function, { strict: false, ...DISPLAY_QUIZ });

	const args = JSON.stringify(QUIZ);
	model.queue.push(functionCalls(['call_quiz', 'display_quiz', args]),
		words('Here is the feedback for your responses.'));
	const content = 'Make a quiz with 2 questions: One open ended, one multiple choice.';
	const run = await threads.createAndRunPoll({
		assistant_id, thread: { messages: [{ role: 'user', content }] },
	});
	assert.equal(run.status, 'requires_action');
	const { tool_calls: [call] } = run.required_action.submit_tool_outputs;
	assert.deepEqual([call.function.name, JSON.parse(call.function.arguments)],
		['display_quiz', QUIZ]);
	const responses = JSON.stringify(QUIZ.questions.map(({ question_type }) =>
		(question_type === 'MULTIPLE_CHOICE' ? 'a' : 'I don\'t know.')));
	const { thread_id } = run;
	await threads.runs.submitToolOutputs(run.id,
		{ thread_id, tool_outputs: [{ tool_call_id: call.id, output: responses }] });
	assert.equal((await waitOnRun(threads.runs, { ...run, status: 'queued' })).status, 'completed');
	assert.deepEqual(await conversation(openai, thread_id),
		[['user', content], ['assistant', 'Here is the feedback for your responses.']]);

	const { data } = await threads.runs.steps.list(run.id, { thread_id, order: 'asc' });
	const [called, created] = data.map(({ step_details }) => step_details);
	assert.deepEqual(called, { type: 'tool_calls', tool_calls: [{
		id: call.id, type: 'function',
		function: { name: 'display_quiz', arguments: args, output: responses },
	}] });
	const { data: [answer] } = await threads.messages.list(thread_id);
	assert.deepEqual(created,
		{ type: 'message_creation', message_creation: { message_id: answer.id } });
});

eachSdk('the notebook: a premium account, its steps, and the cleanup', async (bench, OpenAI) => {
	bench.expectLog(STORED_ONLY);
	const { openai, model } = await stage(bench, OpenAI);
	const { assistants, threads } = openai.beta;
	speak(model);
	const assistant = await assistants.create({
		name: 'Math Tutor', tools: [{ type: 'code_interpreter' }], model: 'gpt-4-turbo-preview',
		instructions:
			'You are a personal math tutor. Write and run code to answer math questions.',
	});
	const thread = await threads.create();
	const message = await threads.messages.create(thread.id, { role: 'user', content: EQUATION });
	assert.deepEqual((await threads.messages.list(thread.id)).data, [message]);
	const instructions =
		'Please address the user as Jane Doe. The user has a premium account.';
	const body = { assistant_id: assistant.id, instructions };
	const run = await waitOnRun(threads.runs, await threads.runs.create(thread.id, body));
	assert.deepEqual([run.status, run.instructions, run.tools, run.last_error],
		['completed', instructions, [{ type: 'code_interpreter' }], null]);
	assert.equal(model.requests[0].json.instructions, instructions);
	assert.deepEqual(model.requests[0].json.tools ?? [], [], 'the interpreter is only stored so far');
	const { data } = await threads.messages.list(thread.id);
	assert.deepEqual(data.toReversed().map(textOf), [EQUATION, SAID[EQUATION]]);
	const steps = await threads.runs.steps.list(run.id, { thread_id: thread.id });
	assert.deepEqual(steps.data.map(({ type }) => type), ['message_creation']);

	assert.equal((await assistants.delete(assistant.id)).object, 'assistant.deleted');
	// The assistant's messages outlive it.
	assert.equal((await threads.messages.list(thread.id)).data[0].assistant_id, assistant.id);
	const { id, deleted, object } = await threads.delete(thread.id);
	assert.deepEqual([id, deleted, object], [thread.id, true, 'thread.deleted']);
});

eachSdk('a job runner\'s operations on assistants, threads, messages and runs',
	async (bench, OpenAI) => {
	bench.expectLog(STORED_ONLY);
		const { openai, model } = await stage(bench, OpenAI);
		const { assistants, threads } = openai.beta;
		const { messages, runs } = threads;
		model.otherwise = words('Three visualizations.');
		// What the integration adds to the client: polling in the background, and listing
		// everything.
		async function waitForCompletion(thread_id, id) {
			const run = await waitOnRun(runs, await runs.retrieve(id, { thread_id }));
			if (run.status !== 'completed') {
				throw new Error(`${run.status}: ${JSON.stringify(run.last_error)}`);
			}
			return run;
		}
		const createAndWaitForCompletion = async (thread_id, body) =>
			waitForCompletion(thread_id, (await runs.create(thread_id, body)).id);
		async function createAndRunUntilCompletion(body) {
			const run = await threads.createAndRun(body);
			return waitForCompletion(run.thread_id, run.id);
		}
		async function listAll(thread_id) {
			const all = [];
			let page = await messages.list(thread_id, { limit: 2 });
			for (;;) {
				all.push(...page.data);
				if (!page.hasNextPage()) return all;
				page = await messages.list(thread_id, { limit: 2, after: all.at(-1).id });
			}
		}

		const assistant = await assistants.create({
			name: 'Data visualizer', model: 'gpt-4-1106-preview',
			description: 'You are great at creating beautiful data visualizations.',
			tools: [{ type: 'code_interpreter' }],
		});
		const renamed = await assistants.update(assistant.id, { name: 'Visualizer' });
		assert.equal(renamed.name, 'Visualizer');
		const page = await assistants.list({ limit: 10, order: 'desc', after: assistant.id });
		assert.deepEqual(page.data, []);
		assert.deepEqual(await assistants.retrieve(assistant.id), renamed);

		const content = 'Create 3 data visualizations based on the trends in this file.';
		const body = {
			assistant_id: assistant.id, thread: { messages: [{ role: 'user', content }] },
		};
		const run = await createAndRunUntilCompletion(body);
		const { thread_id } = run;
		assert.deepEqual((await messages.list(thread_id)).data.map(textOf),
			['Three visualizations.', content]);
		assert.equal((await threads.retrieve(thread_id)).id, thread_id);
		const { metadata } = await threads.update(thread_id, { metadata: { foo: 'bar' } });
		assert.deepEqual(metadata, { foo: 'bar' });

		const message = await messages.create(thread_id, { role: 'user', content: 'More' });
		assert.deepEqual(await messages.retrieve(message.id, { thread_id }), message);
		const update = { thread_id, metadata: { foo: 'bar' } };
		assert.deepEqual((await messages.update(message.id, update)).metadata, { foo: 'bar' });
		const more = await createAndWaitForCompletion(thread_id, { assistant_id: assistant.id });
		assert.deepEqual((await listAll(thread_id)).map(textOf),
			['Three visualizations.', 'More', 'Three visualizations.', content]);
		assert.deepEqual((await runs.list(thread_id)).data.map(({ id }) => id),
			[more.id, run.id]);
		assert.equal((await threads.delete(thread_id)).deleted, true);
		assert.equal((await assistants.delete(assistant.id)).deleted, true);
	});
