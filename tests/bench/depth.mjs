// What much data costs: pages of long lists, and the next message in long threads. The program is
// spoken to in FastCGI, without a web server.

import assert from 'node:assert/strict';
import { makeKey, Program } from '../e2e/lib-api.mjs';
import { database, sql } from '../e2e/lib-state.mjs';
import { modelServer } from '../e2e/lib-upstream.mjs';
import { spread, quantile, table, timed, withBench } from './lib-bench.mjs';

const ROUNDS = 7;
const OBJECTS = 100_000;
const LIMIT = 20;
const PAGES_A_ROUND = 50;
const SIZES = [10, 100, 1000, 10_000];
const MESSAGES_A_ROUND = 30;
const TENANT = 'tests';

const padded = (number) => String(number).padStart(12, '0');
const threadId = (number) => `thread_${padded(0)}${padded(number)}`;
const messageId = (thread, number) => `msg_${padded(thread)}${padded(number)}`;
// The thread that is listed is the first one, those that go on are the next ones.
const LISTED = 1;
const threadOf = (size) => 2 + SIZES.indexOf(size);
const OTHERS = OBJECTS + 1;

const numbers = (count) => 'WITH RECURSIVE numbers (n) AS '
	+ `(VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < ${count}) `;

/** SQL for `count` messages of thread `thread`, by turns the user's and the assistant's. */
function messages(thread, count) {
	return `${numbers(count)}
		INSERT INTO messages (id, thread, created_at, completed_at, role, content, body)
			SELECT 'msg_${padded(thread)}' || printf('%012d', n),
				(SELECT seq FROM threads WHERE id = '${threadId(thread)}'), n, n,
				iif(n % 2, 'user', 'assistant'), json_array(json_object('type', 'text',
					'text', json_object('value', 'What was said as number ' || n,
						'annotations', json('[]')))),
				'{"attachments":[],"metadata":{}}'
			FROM numbers;`;
}

/** What is measured, and behind it as much of another tenant's, which a query may not go through. */
function fill(bench) {
	sql(database(bench), `BEGIN;
		${numbers(2 * OBJECTS)} INSERT INTO threads (id, tenant, created_at, body)
			SELECT 'thread_${padded(0)}' || printf('%012d', n),
				iif(n < ${OTHERS}, '${TENANT}', 'others'), n, '{"metadata":{}}'
			FROM numbers;
		${messages(LISTED, OBJECTS)}
		${SIZES.map((size) => messages(threadOf(size), size)).join('\n')}
		${messages(OTHERS, OBJECTS)}
		COMMIT;`);
}

// The newest come first: behind the one of number 20 is the last page, with 19 of them.
const DEPTHS = { first: undefined, middle: OBJECTS / 2, last: LIMIT };
const LISTS = {
	threads: { path: '/threads', id: threadId },
	messages: { path: `/threads/${threadId(LISTED)}/messages`, id: (n) => messageId(LISTED, n) },
};

async function readPage(program, list, where) {
	const { path, id } = LISTS[list], after = DEPTHS[where];
	const query = after ? `&after=${id(after)}` : '';
	let page;
	const ms = await timed(async () => {
		page = await program.call('GET', `${path}?limit=${LIMIT}${query}`);
	});
	assert.equal(page.first_id, id((after ?? OBJECTS + 1) - 1));
	assert.equal(page.has_more, where !== 'last');
	return ms;
}

/** What `measure` gives of each name, taken by turns: the median of `count` of each. */
async function medians(names, count, measure) {
	const all = Object.fromEntries(names.map((name) => [name, []]));
	for (let i = 0; i < count; i++) {
		for (const name of names) all[name].push(await measure(name));
	}
	return Object.fromEntries(names.map((name) => [name, quantile(all[name], 0.5)]));
}

function pages(program, list) {
	return medians(Object.keys(DEPTHS), PAGES_A_ROUND, (where) => readPage(program, list, where));
}

/** The next message in a thread of each size, whose length stays what it is. */
function nextMessages({ bench, program, model, assistant_id, newest }) {
	return medians(SIZES.map(String), MESSAGES_A_ROUND, async (size) => {
		const ms = await timed(async () => {
			const path = `/threads/${threadId(threadOf(Number(size)))}/runs`;
			const events = await program.stream(path, {
				assistant_id, additional_messages: [{ role: 'user', content: 'And now?' }],
				truncation_strategy: { type: 'last_messages', last_messages: 10 },
			});
			assert.equal(events.at(-2)[0], 'thread.run.completed');
		});
		assert.equal(model.requests.pop().json.input.length, 10);
		sql(database(bench), 'DELETE FROM run_steps; DELETE FROM runs; '
			+ `DELETE FROM messages WHERE seq > ${newest};`);
		return ms;
	});
}

/** Resolves to `report`, in Markdown, and `raw`, all figures. */
export function depth() {
	return withBench(async (bench) => {
		const model = await modelServer(bench);
		const program = new Program(await bench.listen({ env: model.env }),
			await makeKey(bench, TENANT));
		const { id: assistant_id } = await program.call('POST', '/assistants', { model: 'm' });
		const fill_ms = await timed(async () => fill(bench));
		const newest = sql(database(bench), 'SELECT max(seq) FROM messages');
		const raw = { fill_ms, threads: [], messages: [], next: [] };
		for (let i = 0; i < ROUNDS; i++) {
			for (const list of Object.keys(LISTS)) raw[list].push(await pages(program, list));
			raw.next.push(await nextMessages({ bench, program, model, assistant_id, newest }));
		}
		return { raw, report: report(raw) };
	});
}

function report(raw) {
	const each = (kind, name) => spread(raw[kind].map((round) => round[name]), 2);
	const lists = [
		[`a page of ${LIMIT} of ${OBJECTS} objects, ms: median of ${ROUNDS} rounds (all)`,
			...Object.keys(DEPTHS)],
		...Object.keys(LISTS).map((list) =>
			[list, ...Object.keys(DEPTHS).map((name) => each(list, name))]),
	];
	const next = [
		['the next message in a thread of', ...SIZES],
		['until the run has ended, ms', ...SIZES.map((size) => each('next', size))],
	];
	return `${table(lists)}\n${table(next)}`;
}
