// Three majors of OpenAI's official client behind one interface. Every answer is validated against OpenAI's
// own description of the API.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import Ajv from 'ajv';
import OpenAI4 from 'openai4';
import OpenAI6 from 'openai6';
import OpenAI7 from 'openai7';
import { e2e, within } from './lib.mjs';
import { behindNginx } from './lib-servers.mjs';
import { modelServer } from './lib-upstream.mjs';

const SDKS = [['openai 4', OpenAI4], ['openai 6', OpenAI6], ['openai 7', OpenAI7]];

/** One test for each major; the body gets the bench and the class. */
export function eachSdk(name, body) {
	for (const [major, OpenAI] of SDKS) {
		// The client's own polling never gives up.
		e2e(`${major}: ${name}`, (bench) => within(body(bench, OpenAI), name));
	}
}

/** A new key for a tenant. */
export async function makeKey(bench, tenant) {
	const { code, stdout, stderr } = await bench.command(['--make-key', tenant]);
	assert.equal(code, 0, stderr);
	return stdout.trim();
}

/** A client of a site that validates; its methods have the newest major's arguments. */
export function connect(bench, OpenAI, site, apiKey) {
	const baseURL = `http://127.0.0.1:${site.port}${site.base}/v1`;
	// A retry would hide a failure.
	const client = new OpenAI({ apiKey, baseURL, maxRetries: 0 });
	validate(bench, client);
	return modern(client);
}

/**
 * The program behind a web server, with a scripted model server, a key and a client: {model, site,
 * key, openai}.
 */
export async function stage(bench, OpenAI, { behind = behindNginx, model, env } = {}) {
	model ??= await modelServer(bench);
	const site = await behind(bench, { ...model.env, ...env });
	const key = await makeKey(bench, 'tests');
	return { model, site, key, openai: connect(bench, OpenAI, site, key) };
}

/** The first arguments with which the stream's handler `name` is called. */
export function handled(stream, name) {
	const called = new Promise((resolve, reject) => {
		stream.once(name, resolve).once('error', reject)
			.once('end', () => reject(new Error(`the stream ended without ${name}`)));
	});
	return within(called, name);
}

/** A message's text. */
export function textOf({ content }) {
	return content.map((part) => part.text.value).join('');
}

/** A thread's conversation as [[role, text], …], oldest first. */
export async function conversation(openai, thread) {
	const said = [];
	for await (const message of openai.beta.threads.messages.list(thread, { order: 'asc' })) {
		said.push([message.role, textOf(message)]);
	}
	return said;
}

// --- three majors as one ---

// `object` with some of its methods replaced.
function overlay(object, methods) {
	return new Proxy(object, {
		get(target, name) {
			const value = methods[name] ?? target[name];
			return typeof value === 'function' ? value.bind(target) : value;
		},
	});
}

/*
 * Major 4 takes all ids of a path in order; later ones take the last id, and the others in the body
 * or query. What they call delete, it calls del.
 */
export function modern(client) {
	const { assistants, threads } = client.beta;
	if (!assistants.del) return client;
	const { messages, runs } = threads;
	const { steps } = runs;
	const inThread = (id, { thread_id, ...rest }) => [thread_id, id, rest];
	const inRun = (id, { thread_id, run_id, ...rest }) => [thread_id, run_id, id, rest];
	const without = (args) => args.slice(0, -1);
	return overlay(client, { beta: {
		assistants: overlay(assistants, { delete: assistants.del }),
		threads: overlay(threads, {
			delete: threads.del,
			messages: overlay(messages, {
				retrieve: (...args) => messages.retrieve(...without(inThread(...args))),
				update: (...args) => messages.update(...inThread(...args)),
				delete: (...args) => messages.del(...without(inThread(...args))),
			}),
			runs: overlay(runs, {
				retrieve: (...args) => runs.retrieve(...without(inThread(...args))),
				update: (...args) => runs.update(...inThread(...args)),
				cancel: (...args) => runs.cancel(...without(inThread(...args))),
				poll: (...args) => runs.poll(...without(inThread(...args))),
				submitToolOutputs: (...args) =>
					runs.submitToolOutputs(...inThread(...args)),
				submitToolOutputsAndPoll: (...args) =>
					runs.submitToolOutputsAndPoll(...inThread(...args)),
				submitToolOutputsStream: (...args) =>
					runs.submitToolOutputsStream(...inThread(...args)),
				steps: overlay(steps, {
					retrieve: (...args) => steps.retrieve(...inRun(...args)),
					list: (id, { thread_id, ...query }) =>
						steps.list(thread_id, id, query),
				}),
			}),
		}),
	} });
}

// --- validation ---

const counts = (...names) => ({
	type: 'object', required: names, additionalProperties: false,
	properties: Object.fromEntries(names.map((name) => [name, { type: 'integer', minimum: 0 }])),
});
/** A file_search tool as it is shown if nothing was set. */
export const USUAL_SEARCH = { type: 'file_search', file_search: {
	max_num_results: null,
	ranking_options: { ranker: 'default_2024_08_21', score_threshold: 0 },
} };

/** A usage as it is shown if the model server reported no details. */
export const usageOf = (prompt_tokens, completion_tokens) => ({
	prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens,
	prompt_token_details: { cached_tokens: 0 }, completion_tokens_details: { reasoning_tokens: 0 },
});
const TOKENS = counts('prompt_tokens', 'completion_tokens', 'total_tokens');
const USAGE = { ...TOKENS, properties: {
	...TOKENS.properties,
	prompt_token_details: counts('cached_tokens'),
	completion_tokens_details: counts('reasoning_tokens'),
} };

// Properties that differ from the description, and why that is right.
const EXCEPTIONS = [
	['AssistantObject', 'reasoning_effort', { $ref: '#/$defs/ReasoningEffort' },
		'requests set it, and the object shows what was set'],
	['RunObject', 'reasoning_effort', { $ref: '#/$defs/ReasoningEffort' },
		'requests set it, and the object shows what was set'],
	['RunObject', 'tool_resources', { type: 'object' },
		'the original showed it, too; the first version\'s file_ids stand there'],
	['RunStepObject', 'expires_at', { type: ['integer', 'null'] },
		'the description\'s examples have it, where the schema has expired_at'],
	['AssistantToolsFileSearch', 'file_search', {
		type: 'object', additionalProperties: false, properties: {
			max_num_results: { type: ['integer', 'null'] },
			ranking_options: { $ref: '#/$defs/FileSearchRankingOptions' },
		},
	}, 'the original showed what counts where nothing was asked'],
	...['RunObject', 'RunStepObject'].map((kind) => [kind, 'usage', { anyOf: [{ type: 'null' }, USAGE] },
		'the original also told of cached and reasoning tokens, in its last years']),
	...['Assistants', 'Messages', 'Runs', 'RunSteps'].flatMap((kind) =>
		['first_id', 'last_id'].map((name) =>
			[`List${kind}Response`, name, { type: ['string', 'null'] },
				'an empty list has none'])),
];

// The deltas of a stream, which the description omits, after the clients' own types.
const facts = (properties, required) =>
	({ type: 'object', properties, required, additionalProperties: false });
const word = (value) => ({ type: 'string', enum: [value] });
const deltaObject = (object, delta) =>
	facts({ id: { type: 'string' }, object: word(object), delta }, ['id', 'object', 'delta']);
const index = { type: 'integer', minimum: 0 };
const string = { type: 'string' };
const DELTAS = {
	MessageDelta: deltaObject('thread.message.delta', facts({
		role: word('assistant'),
		content: { type: 'array', items: { oneOf: [
			facts({ index, type: word('text'), text: facts({
				value: string, annotations: { type: 'array', maxItems: 0 },
			}) }, ['index', 'type']),
			facts({ index, type: word('refusal'), refusal: string }, ['index', 'type']),
		] } },
	})),
	RunStepDelta: deltaObject('thread.run.step.delta', facts({
		step_details: facts({ type: word('tool_calls'), tool_calls: {
			type: 'array',
			items: facts({ index, id: string, type: word('function'), function: facts({
				name: string, arguments: string, output: { type: ['string', 'null'] },
			}) }, ['index', 'type']),
		} }, ['type']),
	})),
};

const OBJECTS = [
	['ThreadObject', 'thread', ['created']],
	['RunObject', 'thread.run', ['created', 'queued', 'in_progress', 'requires_action',
		'completed', 'incomplete', 'failed', 'cancelling', 'cancelled', 'expired']],
	['RunStepObject', 'thread.run.step',
		['created', 'in_progress', 'completed', 'failed', 'cancelled', 'expired']],
	['MessageObject', 'thread.message', ['created', 'in_progress', 'completed', 'incomplete']],
	['MessageDelta', 'thread.message', ['delta']],
	['RunStepDelta', 'thread.run.step', ['delta']],
];
const EVENTS = Object.fromEntries(OBJECTS.flatMap(([schema, object, events]) =>
	events.map((event) => [`${object}.${event}`, schema])));

const description = JSON.parse(
	fs.readFileSync(path.join(import.meta.dirname, 'description.json'), 'utf8'));
for (const [schema, property, allowed] of EXCEPTIONS) {
	description.$defs[schema].properties[property] = allowed;
}
const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
ajv.addSchema({ $id: 'api', $defs: { ...description.$defs, ...DELTAS } });
const ANSWERS = Object.entries(description.answers).map(([line, schema]) => {
	const [method, template] = line.split(' ');
	const pattern = template.replace(/\{\w+\}/g, '[^/]+');
	return { method, pattern: new RegExp(`/(?:v1|openai)${pattern}$`), schema };
});

function conforms(value, schema, where) {
	const valid = ajv.getSchema(`api#/$defs/${schema}`);
	if (valid(value)) return;
	const reasons = valid.errors.map(({ instancePath, message, params }) =>
		`${instancePath} ${message} ${JSON.stringify(params)}`);
	assert.fail([`${where} is no ${schema}`, ...reasons, JSON.stringify(value)].join('\n'));
}

async function validateEvents(body, where) {
	const decoder = new TextDecoder();
	let text = '', last;
	for await (const piece of body) {
		text += decoder.decode(piece, { stream: true });
		const blocks = text.split('\n\n');
		text = blocks.pop();
		for (const block of blocks) last = validateEvent(block, where) ?? last;
	}
	assert.deepEqual([last, text], ['done', ''], `the end of the stream of ${where}`);
}

// Validates one event; returns its name, or nothing for a comment.
function validateEvent(block, where) {
	if (/^:/.test(block)) return undefined;
	const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? assert.fail(block);
	if (event === 'done') assert.equal(data, '[DONE]');
	else conforms(JSON.parse(data), EVENTS[event] ?? assert.fail(event), `${event} of ${where}`);
	return event;
}

async function validateAnswer(response, method, url) {
	const where = `${method} ${url}: ${response.status}`;
	assert.match(response.headers.get('x-request-id'), /^[\w-]{8,}$/, where);
	if (/^text\/event-stream/.test(response.headers.get('content-type'))) {
		assert.equal(response.status, 200, where);
		return validateEvents(response.body, where);
	}
	assert.match(response.headers.get('content-type'), /^application\/json/, where);
	const value = await response.json();
	if (response.status >= 400) return conforms(value, 'ErrorResponse', where);
	assert.equal(response.status, 200, where);
	const { pathname } = new URL(url);
	const answer = ANSWERS.find((one) => one.method === method && one.pattern.test(pathname));
	assert.ok(answer, `${where}: the description has no such path`);
	if (answer.schema === 'RunObject') {
		assert.match(response.headers.get('openai-poll-after-ms'), /^\d+$/, where);
	}
	return conforms(value, answer.schema, where);
}

/** Validate everything that a client receives; what does not conform fails the test at its end. */
export function validate(bench, client) {
	const send = client.fetch, checks = [];
	client.fetch = async (url, init) => {
		const response = await send(url, init);
		// A file's bytes; or `data:`, by which the client finds out what its fetch can do.
		if (!/json|event-stream/.test(response.headers.get('content-type'))) return response;
		const left = new Promise((resolve) => {
			init.signal?.addEventListener('abort', resolve);
		});
		const method = init.method.toUpperCase();
		const checked = validateAnswer(response.clone(), method, String(url));
		// A client that leaves has no complete answer.
		checks.push(Promise.race([checked, left])
			.catch((error) => { if (!init.signal?.aborted) return error; }));
		return response;
	};
	bench.onClose(async () => {
		const [error] = (await Promise.all(checks)).filter((one) => one instanceof Error);
		if (error) throw error;
		assert.ok(checks.length > 0, 'the client asked for nothing');
	});
}
