// What model servers send and refuse although they should not, and how a conversation survives it. Each
// kind was found in the public bug reports of a server or a client.

import assert from 'node:assert/strict';
import { e2e } from './lib.mjs';
import { calls, chunk, items, oddServer, refusal, talk } from './lib-oddities.mjs';

/* --- the servers --- */

const isObject = (text) => {
	try {
		return Object.getPrototypeOf(JSON.parse(text)) === Object.prototype;
	} catch {
		return false;
	}
};
const callsOf = ({ messages }) => messages.flatMap(({ tool_calls }) => tool_calls ?? []);
const last = ({ messages }) => messages.at(-1);
const asksWeather = (body) => last(body)?.role === 'user' && /weather$/.test(last(body).content);

// Answer what `refuse` accepts: the weather by a call, everything else by text.
const chat = (refuse, called = () => calls(['call_1', '{"city":"Oslo"}'])) => (body) => {
	const words = refuse(body);
	if (words) return typeof words === 'string' ? refusal(words) : words;
	return asksWeather(body) && body.tools ? called() : 'Good.';
};

function alternates(body) {
	const roles = body.messages.map(({ role }) => role).filter((role) => role !== 'system');
	return roles.some((role, i) => role !== ['user', 'assistant'][i % 2]) &&
		'Conversation roles must alternate user/assistant/user/assistant/...';
}

// Servers that insist on something in a history, and the turns that lead to it.
const STRICT = [
	['arguments that are JSON objects', ['weather', 'thanks'], chat(
		(body) => callsOf(body).some((one) => !isObject(one.function.arguments)) &&
			'Expecting \',\' delimiter', () => calls(['call_1', '{"city": "Oslo']))],
	['the same, of a model that writes an array', ['weather', 'thanks'], chat(
		(body) => callsOf(body).some((one) => !isObject(one.function.arguments)) && 'a dictionary',
		() => calls(['call_1', '["Oslo"]']))],
	['call ids that come once', ['weather', 'weather', 'thanks'], chat(
		(body) => new Set(callsOf(body).map(({ id }) => id)).size < callsOf(body).length &&
			'tool_use ids must be unique', () => calls(['get_weather:0', '{}']))],
	['calls behind a message of the user', ['weather', 'thanks'], chat((body) => {
		const at = body.messages.findIndex(({ tool_calls }) => tool_calls);
		return at >= 0 && !['user', 'tool'].includes(body.messages[at - 1].role) &&
			'function call turn comes immediately after a user turn';
	}), { truncation_strategy: { type: 'last_messages', last_messages: 2 } }],
	['a message of the user last', ['hello', undefined], chat(
		(body) => last(body).role === 'assistant' && 'Assistant response prefill is incompatible')],
	['no system role', ['hello', 'thanks'], chat(
		(body) => body.messages.some(({ role }) => role === 'system') && 'System role not supported')],
	['one call in a message', ['weather', 'thanks'], chat(
		(body) => body.messages.some(({ tool_calls }) => tool_calls?.length > 1) &&
			'This model only supports single tool-calls at once!',
		() => calls(['call_1', '{}'], ['call_2', '{}']))],
	['content beside calls', ['weather', 'thanks'], chat((body) => body.messages.some(
		({ content }) => content === null) && 'content: Input should be a valid string')],
	['no member that it sent itself', ['weather', 'thanks'], chat((body) => body.messages.some(
		({ reasoning }) => reasoning) && 'property \'reasoning\' is unsupported', () => ({
		chunks: [chunk({ reasoning: 'hm' }), ...calls(['call_1', '{}']).chunks],
	}))],
	['no member that it sent, in words that nobody knows', ['weather', 'thanks'], chat(
		(body) => callsOf(body).some(({ mark }) => mark) && 'Zorro says no',
		() => calls(['call_1', '{}', { mark: 7 }]))],
	['no tools at all', ['weather', 'thanks'], chat(
		({ tools }) => tools && 'registry/gemma does not support tools')],
	['no calls without tools', ['weather', 'thanks'], chat((body) => !body.tools &&
		callsOf(body).length > 0 && 'Requests which include tool_use must define tools'),
	{}, { tools: [] }],
	['something that nobody has heard of', ['weather', 'thanks'], chat((body) => callsOf(body).length > 0 &&
		body.messages.at(-1).role === 'user' && 'Zorro says no')],
];

for (const [name, turns, answer, options = {}] of STRICT) {
	e2e(`a server that insists on ${name}`, async (bench) => {
		if (/heard of/.test(name)) bench.expectLog(/accepted the question only with calls as text/);
		const server = await oddServer(bench, 'chat', answer);
		for (const [i, words] of turns.entries()) {
			const run = await server.turn(words, i === 0 ? {} : options);
			assert.equal(run.status, 'completed', run.last_error?.message);
		}
	});
}

e2e('a server that insists on alternating roles fails once: the next message works', async (bench) => {
	bench.expectLog(/answered 500: crashed/);
	const broken = [true];
	const server = await oddServer(bench, 'chat', (body) => {
		const words = alternates(body);
		if (words) return refusal(words);
		return broken.pop() ? refusal('crashed', 500) : 'Fine.';
	});
	const said = [await server.say('one'), await server.say('two'), await server.say('three')];
	assert.deepEqual(said.map(([status]) => status), [502, 200, 200]);
});

e2e('a user right behind a tool\'s output, which Mistral refuses', async (bench) => {
	bench.expectLog(/answered 500: crashed/);
	const broken = [true];
	const server = await oddServer(bench, 'chat', (body) => {
		const roles = body.messages.map(({ role }) => role);
		if (roles.some((role, i) => role === 'user' && roles[i - 1] === 'tool')) {
			return refusal('Unexpected role \'user\' after role \'tool\'');
		}
		if (roles.at(-1) === 'tool' && broken.pop()) return refusal('crashed', 500);
		return asksWeather(body) ? calls(['call_1', '{}']) : 'Good.';
	});
	assert.equal((await server.turn('weather')).status, 'failed');
	assert.equal((await server.turn('hello?')).status, 'completed');
	assert.equal((await server.turn('weather')).status, 'completed');
});

e2e('calls of one server are sent to another with ids that it accepts', async (bench) => {
	const first = await oddServer(bench, 'chat', chat(() => false,
		() => calls(['call_PTLP8xhu3uwZk4l3nlnrrJha', '{"city":"Oslo"}'])));
	assert.equal((await first.turn('weather')).status, 'completed');
	// What the server itself made goes back unchanged.
	assert.equal(callsOf(first.asked.at(-1))[0].id, 'call_PTLP8xhu3uwZk4l3nlnrrJha');
	const second = await oddServer(bench, 'chat', (body) => {
		const tool = body.messages.find(({ role }) => role === 'tool');
		const ids = [...callsOf(body).map(({ id }) => id), tool.tool_call_id];
		return ids.every((id) => /^[A-Za-z0-9]{9}$/.test(id)) && new Set(ids).size === 1 ?
			'Bonjour.' : refusal('Tool call id must be a-z, A-Z, 0-9, with a length of 9.');
	}, { name: 'another' });
	Object.assign(second.at, first.at);
	const run = await talkAs(second, first).turn('thanks');
	assert.equal(run.status, 'completed', run.last_error?.message);
	assert.equal(second.asked.length, 1, 'it was asked once');
});

// Two sites share the state folder, and so the tenant.
const talkAs = (site, { at }) => Object.assign(site, { at });

/* --- members that must come back, to the server that sent them --- */

const SIGNED = { google: { thought_signature: 'U0lHTg==' } };
const MEMBERS = [
	['of a call', () => calls(['call_1', '{}', { extra_content: SIGNED }]),
		({ tool_calls: [one] }) => assert.deepEqual(one.extra_content, SIGNED)],
	['thoughts in pieces', () => ({
		chunks: [chunk({ reasoning_content: 'h' }), chunk({ reasoning_content: 'm' }),
			...calls(['call_1', '{}']).chunks],
	}), (message) => assert.equal(message.reasoning_content, 'hm')],
	['an array in pieces', () => ({
		chunks: [
			chunk({ reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'a' }] }),
			chunk({ reasoning_details: [{ type: 'reasoning.text', index: 0, text: 'b', signature: 's' }] }),
			chunk({ reasoning_details: [{ type: 'reasoning.encrypted', index: 1, data: 'd' }] }),
			...calls(['call_1', '{}']).chunks],
	}), (message) => assert.deepEqual(message.reasoning_details, [
		{ type: 'reasoning.text', index: 0, text: 'ab', signature: 's' },
		{ type: 'reasoning.encrypted', index: 1, data: 'd' },
	])],
];

for (const [name, called, check] of MEMBERS) {
	e2e(`members that come back: ${name}`, async (bench) => {
		const server = await oddServer(bench, 'chat', chat(() => false, called));
		assert.equal((await server.turn('weather')).status, 'completed');
		check(server.asked.at(-1).messages.find(({ tool_calls }) => tool_calls));
		const other = await oddServer(bench, 'chat', () => 'Good.', { name: 'another' });
		await talkAs(other, server).turn('thanks');
		const text = JSON.stringify(other.asked.at(-1));
		assert.doesNotMatch(text, /extra_content|reasoning/);
	});
}

e2e('thoughts without calls do not come back, other members do', async (bench) => {
	const server = await oddServer(bench, 'chat', () => ({
		chunks: [chunk({ content: 'Hi', reasoning_content: 'hm', mark: 7 }), chunk({}, 'stop')],
	}));
	await server.say('one');
	await server.say('two');
	const { role, ...rest } = server.asked[1].messages.find((one) => one.role === 'assistant');
	assert.deepEqual({ role, rest }, { role: 'assistant', rest: { content: 'Hi', mark: 7 } });
});

/* --- thoughts --- */

const THOUGHTS = [
	['in pieces', ['<th', 'ink>\nThe user is rude.\n</thi', 'nk>\n\nHel', 'lo.'], 'Hello.'],
	['by another tag', ['[THINK]rude[/THINK]Hello.'], 'Hello.'],
	['of a template that opens them', ['The user is rude.\n</think>\n\nHello.'], 'Hello.'],
	['that are none', ['<th', 'is> is <think>'], '<this> is <think>'],
	['that are talked about', ['Write `</think>` there.'], 'Write `</think>` there.'],
];

for (const [name, pieces, shown] of THOUGHTS) {
	for (const api of ['chat', 'responses']) {
		e2e(`reasoning within the text, by ${api}: ${name}`, async (bench) => {
			const text = pieces.join('');
			const server = await oddServer(bench, api, () => api === 'chat' ?
				{ chunks: [...pieces.map((content) => chunk({ content })), chunk({}, 'stop')] } :
				items({ type: 'message', role: 'assistant', content: [{ type: 'output_text', text }] }));
			assert.deepEqual(await server.say('hi'), [200, shown]);
			await server.say('more');
			const told = JSON.stringify(server.asked.at(-1).messages ?? server.asked.at(-1).input);
			assert.ok(told.includes(JSON.stringify(shown)), told);
			assert.ok(!told.includes('rude'), told);
		});
	}
}

e2e('thoughts that no tag opens are held back from the second time on', async (bench) => {
	const pieces = ['rude', '\n</think>\n', '\nHel', 'lo.'];
	const server = await oddServer(bench, 'chat', () => ({
		chunks: [...pieces.map((content) => chunk({ content })), chunk({}, 'stop')],
	}));
	const deltas = async () => {
		const { assistant, thread } = server.at;
		const { text } = await server.stream(`/threads/${thread}/runs`,
			{ assistant_id: assistant, stream: true });
		return [...text.matchAll(/"value":"([^"]*)"/g)].map(([, value]) => value).join('');
	};
	await server.turn('hi');
	assert.doesNotMatch(await deltas(), /rude/);
});

/* --- forms of answers --- */

const CONTENTS = [
	['parts', chunk({ content: [{ type: 'thinking', thinking: [] }, { type: 'text', text: 'Hello.' }] })],
	['null before the words', chunk({ content: null }), chunk({ content: 'Hello.' })],
	['an empty reason', chunk({ content: 'Hello.' }, '')],
	['stop, and more to come', chunk({ content: 'Hel' }, 'stop'), chunk({ content: 'lo.' })],
	['no choice in between', { choices: [] }, chunk({ content: 'Hello.' })],
	['a page that is whole', { whole: { choices: [{ message: { content: 'Hello.' } }] } }],
];

for (const [name, ...chunks] of CONTENTS) {
	e2e(`an answer in Chat Completions with ${name}`, async (bench) => {
		const server = await oddServer(bench, 'chat', () => (chunks[0].whole ?
			{ status: 200, body: chunks[0].whole } : { chunks: [...chunks, chunk({}, 'stop')] }));
		assert.deepEqual(await server.say('hi'), [200, 'Hello.']);
	});
}

const FAILURES = [
	['error as its reason', /network_error/, chunk({}, 'error', { native_finish_reason: 'network_error' })],
	['an error in the choice', /gone/, chunk({}, 'error', { error: { message: 'gone' } })],
	['an error as text', /gone/, { error: 'gone' }],
	['an error in an array', /gone/, [{ error: { message: 'gone' } }]],
	['a detail', /gone/, { detail: 'gone' }],
	['an end before its end', /ended before/],
	['words behind its reason', /ended before/, chunk({}, 'stop'), chunk({ content: 'more' })],
];

for (const [name, logged, ...chunks] of FAILURES) {
	e2e(`an answer in Chat Completions that breaks off with ${name}`, async (bench) => {
		bench.expectLog(logged);
		const broken = [true];
		const server = await oddServer(bench, 'chat', () => (broken.pop() ?
			{ chunks: [chunk({ content: 'The first half' }), ...chunks], cut: true } : 'Fine.'));
		assert.equal((await server.say('hi'))[0], 502);
		assert.deepEqual(await server.say('more'), [200, 'Fine.']);
	});
}

const REASONS = [
	[400, [{ error: { code: 400, message: 'not valid' } }], /answered 400: not valid/],
	[422, { detail: [{ loc: ['body', 'messages'], msg: 'not valid' }] }, /422: body.messages: not valid/],
	[401, { detail: 'not valid' }, /answered 401: not valid/],
	[500, '<html><h1>not valid</h1></html>', /answered 500: not valid/],
	[400, { error: { message: 'Provider returned error', metadata: { raw: 'not valid' } } },
		/Provider returned error: not valid/],
];

for (const [status, body, pattern] of REASONS) {
	e2e(`an error's words are found: ${JSON.stringify(body)}`, async (bench) => {
		bench.expectLog(/ — POST http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions$/);
		const server = await oddServer(bench, 'chat', () => ({ status, body }));
		assert.match((await server.turn('hi')).last_error.message, pattern);
	});
}

/* --- refused options --- */

const unsupported = (name) => `Unsupported parameter: '${name}' is not supported with this model.`;
const OPTIONS = [
	['temperature', { temperature: 0.2 }, ({ temperature }) => temperature && unsupported('temperature')],
	['both temperature and top_p', { temperature: 0.2, top_p: 0.9 }, ({ temperature, top_p }) => {
		return temperature && top_p && '`temperature` and `top_p` cannot both be specified.';
	}],
	['max_tokens', { max_completion_tokens: 99 }, ({ max_tokens }) => {
		return max_tokens && 'max_tokens is not supported. Use max_completion_tokens instead.';
	}],
	['a limit by any name', { max_completion_tokens: 99 }, (body) => {
		const name = ['max_tokens', 'max_completion_tokens', 'max_output_tokens'].find((one) => body[one]);
		return name && unsupported(name);
	}],
	['stream_options', {}, ({ stream_options }) => stream_options &&
		{ status: 422, body: { detail: [{ loc: ['body', 'stream_options'], msg: 'extra' }] } }],
	['parallel_tool_calls', { parallel_tool_calls: false },
		(body) => 'parallel_tool_calls' in body && unsupported('parallel_tool_calls')],
	['tool_choice', { tool_choice: 'required' },
		({ tool_choice }) => tool_choice && unsupported('tool_choice')],
	['response_format', { response_format: { type: 'json_object' } },
		({ response_format, text }) => (response_format || text) && unsupported('response_format')],
	['a stream', {}, ({ stream }) => stream && unsupported('stream')],
];

for (const [name, options, refuse] of OPTIONS) {
	for (const api of ['chat', 'responses']) {
		e2e(`${name} is refused by ${api}: asked without, and remembered by all processes`, async (bench) => {
			const answer = (body) => {
				const words = refuse(body);
				return words ? typeof words === 'string' ? refusal(words) : words : 'Good.';
			};
			const server = await oddServer(bench, api, answer);
			assert.equal((await server.turn('hi', options)).status, 'completed');
			const before = server.asked.length;
			const again = await bench.listen({
				name: 'another',
				env: { OPENAI_BASE_URL: server.url, ASSISTANTS_MODEL_API: api },
			});
			const other = talk(again, server.key, server.at);
			assert.equal((await other.turn('more', options)).status, 'completed');
			assert.equal(server.asked.length, before + 1, 'refused once more');
		});
	}
}

/* --- statuses --- */

e2e('529 is busy', async (bench) => {
	bench.expectLog(/answered 529/);
	const server = await oddServer(bench, 'chat', () => ({
		status: 529, body: { error: { type: 'overloaded_error' } }, headers: { 'retry-after': '60' },
	}));
	assert.equal((await server.say('hi'))[0], 503);
	assert.equal((await server.turn('hi')).last_error.code, 'rate_limit_exceeded');
});

e2e('429 of an empty purse is not asked again, and the log has the reason', async (bench) => {
	bench.expectLog(/answered 429: You exceeded your current quota/);
	const server = await oddServer(bench, 'chat', () => ({ status: 429, body: { error: {
		message: 'You exceeded your current quota', code: 'insufficient_quota' } } }));
	assert.deepEqual(await server.say('hi'), [502, 'The assistant could not answer.']);
	assert.equal(server.asked.length, 1);
});

e2e('a model that the server does not know: the cure is named', async (bench) => {
	bench.expectLog(/ASSISTANTS_MODELS=asked-model=NAME .* — POST /);
	const server = await oddServer(bench, 'auto', ({ model }) => ({
		status: 404, body: { error: { message: `model '${model}' not found, try pulling it first` } },
	}));
	const { code, message } = (await server.turn('hi')).last_error;
	assert.equal(code, 'server_error');
	assert.match(message, /ASSISTANTS_MODELS=asked-model=NAME/);
});

for (const [name, answer] of [
	['200 with an error', { status: 200, body: { error: 'Unexpected endpoint (POST /v1/responses)' } }],
	['404', { status: 404, body: {} }], ['405', { status: 405, body: {} }],
	['501', { status: 501, body: {} }],
	['400 that names it', refusal('Unknown request URL: POST /v1/responses')],
]) {
	e2e(`no Responses API: ${name}`, async (bench) => {
		const server = await oddServer(bench, 'auto', (body, path) => {
			return path.endsWith('/responses') ? answer : 'Hello.';
		});
		assert.deepEqual(await server.say('hi'), [200, 'Hello.']);
		assert.deepEqual(await server.say('more'), [200, 'Hello.']);
		assert.equal(server.asked.length, 3, 'what was found out is remembered');
	});
}

/* --- what else a server must, or must not, be sent --- */

e2e('an image that is a file: the log says that the model cannot see it', async (bench) => {
	bench.expectLog(/cannot see 1 image of the thread/);
	const server = await oddServer(bench, 'chat', () => 'Good.');
	const image = { type: 'image_file', image_file: { file_id: 'file-abc' } };
	const run = await server.turn([image]);
	assert.equal(run.status, 'completed');
	assert.match(server.asked[0].messages.at(-1).content, /image/);
});

e2e('an image that the model cannot take does not end the thread', async (bench) => {
	const server = await oddServer(bench, 'chat', (body) => {
		return JSON.stringify(body).includes('image_url') ?
			refusal('this model does not support image input') : 'Good.';
	});
	const image = { type: 'image_url', image_url: { url: 'https://example.com/a.png' } };
	assert.equal((await server.turn([{ type: 'text', text: 'What is it?' }, image])).status, 'completed');
	assert.equal((await server.turn('And now?')).status, 'completed');
});

e2e('a call id that comes twice, by the Responses API', async (bench) => {
	const server = await oddServer(bench, 'responses', ({ input }) => {
		const outputs = input.filter(({ type }) => type === 'function_call_output');
		if (new Set(outputs.map((one) => one.call_id)).size < outputs.length) {
			return refusal('Duplicate function_call_output for call_id');
		}
		if (input.at(-1).role !== 'user') return 'Three.';
		const call = { type: 'function_call', call_id: 'get_weather:0', name: 'get_weather' };
		return items({ ...call, id: 'fc_1', arguments: '{}', thought_signature: 's' });
	});
	for (const words of ['weather', 'and tomorrow?']) {
		assert.equal((await server.turn(words)).status, 'completed');
	}
	const called = server.asked.at(-1).input.filter(({ type }) => type === 'function_call');
	assert.deepEqual(called.map(({ thought_signature }) => thought_signature), ['s', 's']);
});

for (const api of ['chat', 'responses']) {
	e2e(`what is not ASCII, both ways, by ${api}`, async (bench) => {
		const server = await oddServer(bench, api, () => 'Ça, c\'est l\'été 😀');
		assert.deepEqual(await server.say('héllo'), [200, 'Ça, c\'est l\'été 😀']);
		assert.equal((await server.turn('héllo')).status, 'completed');
		assert.match(JSON.stringify(server.asked.at(-1)), /héllo/);
	});
}

/* --- random combinations --- */

// A random number generator with a seed (mulberry32).
function randomOf(seed) {
	let state = seed;
	return () => {
		state = (state + 0x6d2b79f5) | 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

const MOODS = [
	alternates,
	(body) => body.messages.some(({ role }) => role === 'system') && 'System role not supported',
	(body) => last(body).role === 'assistant' && 'the last message must be of the user',
	(body) => callsOf(body).some((one) => !isObject(one.function.arguments)) && 'Expecting value',
	(body) => callsOf(body).some(({ id }) => !/^[A-Za-z0-9]{9}$/.test(id)) &&
		'Tool call id must be a-z, A-Z, 0-9, with a length of 9.',
	(body) => body.messages.some(({ content }) => content === null) && 'content must be a string',
	(body) => new Set(callsOf(body).map(({ id }) => id)).size < callsOf(body).length && 'ids',
	() => false,
];
const BAD = [
	refusal('crashed', 500), { status: 502, body: '<html>bad gateway</html>' },
	{ status: 200, body: { error: 'oh' } }, { chunks: [chunk({ content: 'half' })], cut: true },
	{ chunks: [chunk({ content: 'half' }), { error: { message: 'oh' } }], cut: true },
	{ chunks: [chunk({}, 'error')] }, { status: 200, body: {} },
];
const ODD = [
	calls(['call_1', '{"a":']), calls(['call_1', '[1]'], ['call_1', '{}']), calls(['', '']),
	calls(['call_1', '{}', { extra_content: { a: 1 } }]),
];

e2e('two hundred turns with a server whose oddities change', async (bench) => {
	bench.expectLog(/run: /);
	const seed = Number(process.env.SEED ?? Date.now() % 1e9);
	const random = randomOf(seed);
	const one = (list) => list[Math.floor(random() * list.length)];
	const server = await oddServer(bench, 'chat', () => 'Good.');
	for (let i = 0; i < 200; i++) {
		const mood = one(MOODS), bad = random() < 0.3 && one(BAD);
		// Once per turn: a model that calls forever is tested elsewhere.
		const odd = random() < 0.3 ? [one(ODD)] : [];
		server.state.answer = (body) => {
			const words = mood(body);
			if (words) return refusal(words);
			if (bad) return bad;
			return (body.tools && odd.pop()) || `Good ${i}.`;
		};
		const run = await server.turn(`turn ${i}`);
		const where = `SEED=${seed}, turn ${i}: ${run.last_error?.message}`;
		if (bad) assert.notEqual(run.status, 'expired', where);
		else assert.equal(run.status, 'completed', where);
	}
});
