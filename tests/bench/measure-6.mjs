// Growth: the cost of a message in long threads and in full databases, and the space that it takes.

import assert from 'node:assert/strict';
import { httpRequest } from '../e2e/lib.mjs';
import { makeKey } from '../e2e/lib-api.mjs';
import { QUICK, byTurns, each, goal, median, mostMib, processorMs, short, slice, table }
	from './lib-bench.mjs';
import { NUMBERS, QUESTION, WORDS, fixedServer, programBench, served, sqlite, withPlace }
	from './lib-sites.mjs';

export const title = 'Growth';

// Lengths of threads in one database, and enough threads of each that measuring hardly changes them.
const LENGTHS = [10, 100, 1000, 10_000];
const MESSAGES_OF_EACH = QUICK ? 20_000 : 100_000;
// Sizes of databases in threads, each with a question and its answer.
const SIZES = QUICK ? [1000, 100_000] : [1000, 100_000, 1_000_000];
const ASKED_THREADS = 20_000;
// Even of ten messages the middle is left out, so that the same amount is sent for all lengths.
const CONTEXT_TOKENS = '256';
const PAGE = 20;
const FAST = `PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000;`;

/* --- the databases --- */

/** SQL: an id for the object `seq`. Ids are in random order, like real ones. */
const idOf = (prefix, seq) =>
	`'${prefix}_' || printf('%08x%016d', (${seq}) * 2654435761 & 0xffffffff, ${seq})`;

/** SQL that copies the table's first row `where`, `count` times, with other expressions of n. */
function copies(file, name, count, where, changes) {
	const columns = sqlite(file, `SELECT name FROM pragma_table_info('${name}')`).trim().split('\n');
	return `${NUMBERS(count)} INSERT INTO ${name} (${columns})
		SELECT ${columns.map((column) => changes[column] ?? `one.${column}`)}
		FROM numbers, (SELECT * FROM ${name} WHERE ${where} ORDER BY seq LIMIT 1) one;`;
}

/**
 * Add `threads` threads with `pairs` questions and answers each: copies of the one conversation
 * that the program itself has written.
 */
function grow(file, threads, pairs) {
	const count = threads * pairs;
	const [thread, message, run, step] = ['threads', 'messages', 'runs', 'run_steps']
		.map((name) => sqlite(file, `SELECT max(seq) FROM ${name}`).trim());
	const its = {
		thread: `${thread} + (n - 1) / ${pairs} + 1`, run: `${run} + n`, step: `${step} + n`,
		question: `${message} + 2 * n - 1`, answer: `${message} + 2 * n`,
	};
	const details = `replace(one.details, (SELECT id FROM messages WHERE role = 'assistant'
		ORDER BY seq LIMIT 1), ${idOf('msg', its.answer)})`;
	sqlite(file, FAST, 'BEGIN;',
		copies(file, 'threads', threads, 'true',
			{ seq: `${thread} + n`, id: idOf('thread', `${thread} + n`) }),
		copies(file, 'runs', count, 'true',
			{ seq: its.run, id: idOf('run', its.run), thread: its.thread }),
		copies(file, 'messages', count, "role = 'user'",
			{ seq: its.question, id: idOf('msg', its.question), thread: its.thread }),
		copies(file, 'messages', count, "role = 'assistant'",
			{ seq: its.answer, id: idOf('msg', its.answer), thread: its.thread, run: its.run }),
		copies(file, 'run_steps', count, 'true',
			{ seq: its.step, id: idOf('step', its.step), run: its.run, details }),
		'COMMIT;');
}

/**
 * The program, not started yet, with a conversation in its database, and `kinds` of further ones.
 */
async function filled(place, fixed, kinds) {
	const made = programBench(place, fixed, { env: { ASSISTANTS_SYNC: 'normal',
		ASSISTANTS_CONTEXT_TOKENS: CONTEXT_TOKENS } });
	const { text: id } = await made.bench.cgi({ method: 'POST', path: '/threads' });
	const answer = await made.bench.cgi({ method: 'POST', path: `/threads/${id}/messages`,
		headers: { 'content-type': 'text/plain' }, body: QUESTION });
	assert.equal(answer.text.trim(), WORDS);
	kinds.forEach(([threads, pairs]) => grow(made.file, threads, pairs));
	return made;
}

/** Random threads of the database that have `length` messages. */
function some(file, length) {
	return sqlite(file, `SELECT id FROM threads WHERE seq IN
		(SELECT thread FROM messages GROUP BY thread HAVING count(*) = ${length})
		ORDER BY random() LIMIT ${ASKED_THREADS}`).trim().split('\n');
}

/* --- measuring --- */

/** Sequential messages, to the threads in turn; all must be stored. */
async function ask(site, fixed, threads) {
	const THREADS = site.bench.file('asked', `${threads.join('\n')}\n`);
	site.stored();
	fixed.lengths();
	const found = await slice(site, { connections: 1, seconds: 1, exact: true,
		env: { ASKED_PATH: '/threads/ID/messages', BODY: QUESTION, ANSWER: WORDS, THREADS } });
	assert.ok(site.stored() >= found.requests && found.errors === 0);
	// Used threads go to the end of the list.
	threads.push(...threads.splice(0, found.requests % threads.length));
	const sent = fixed.lengths();
	return { ...found, asked: sent.length, sent: [...new Set(sent)] };
}

/** Pages of the list of threads, at its beginning, middle and end; newest first. */
async function pages(site, size) {
	const authorization = `Bearer ${await makeKey(site.bench, 'gateway')}`;
	const port = Number(new URL(site.url).port);
	const after = (place) => sqlite(site.file,
		`SELECT id FROM threads ORDER BY seq LIMIT 1 OFFSET ${place}`).trim();
	const paths = {
		first: `/v1/threads?limit=${PAGE}`,
		middle: `/v1/threads?limit=${PAGE}&after=${after(size / 2)}`,
		last: `/v1/threads?limit=${PAGE}&after=${after(PAGE)}`,
	};
	for (const at of Object.values(paths)) {
		const { status, json } = await httpRequest(port, 'GET', at, { headers: { authorization } });
		assert.deepEqual([status, json.data.length], [200, PAGE]);
	}
	return byTurns(Object.keys(paths), (name) => slice(site, { connections: 1, seconds: 1, exact: true,
		env: { METHOD: 'GET', ASKED_PATH: paths[name], AUTHORIZATION: authorization } }));
}

const bytes = (file) => Number(sqlite(file,
	'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size'));

async function inLongThreads(place, fixed) {
	const made = await filled(place, fixed, LENGTHS.map((length) =>
		[MESSAGES_OF_EACH / length, length / 2]));
	const threads = Object.fromEntries(LENGTHS.map((length) => [length, some(made.file, length)]));
	const site = await served(place, made);
	return async () => {
		const found = await byTurns(LENGTHS, (length) => ask(site, fixed, threads[length]));
		const sent = new Set(Object.values(found).flat().flatMap((one) => one.sent));
		assert.equal(sent.size, 1, `the model was sent ${[...sent]} bytes`);
		return found;
	};
}

async function inFullDatabases(place, fixed) {
	const sites = {}, threads = {};
	for (const size of SIZES) {
		const made = await filled(place, fixed, [[size - 1, 1]]);
		threads[size] = some(made.file, 2);
		sites[size] = await served(place, made);
	}
	const sizes = () => SIZES.map((size) => bytes(sites[size].file));
	return async () => {
		const files = sizes();
		const found = await byTurns(SIZES, (size) => ask(sites[size], fixed, threads[size]));
		const asked = found[SIZES[0]].reduce((sum, one) => sum + one.asked, 0);
		const each_bytes = (sizes()[0] - files[0]) / asked;
		return { found, files, each_bytes, listed: await pages(sites[SIZES.at(-1)], SIZES.at(-1)) };
	};
}

export function run() {
	return withPlace(async (place) => {
		const fixed = await fixedServer(place, { logged: true });
		const long = await inLongThreads(place, fixed), full = await inFullDatabases(place, fixed);
		await place.open();
		const raw = { lengths: await long(), full: await full() };
		return { raw, ...report(raw.lengths, raw.full) };
	});
}

const p50 = (rounds) => median(rounds.map((one) => one.p50_ms));
const shown = (number) => number.toLocaleString('en');

function rows(found) {
	const all = Object.values(found);
	return [
		['p50 ms', ...all.map((rounds) => each(rounds, (one) => one.p50_ms))],
		['p99 ms', ...all.map((rounds) => each(rounds, (one) => one.p99_ms))],
		['processor ms each', ...all.map((rounds) => processorMs(rounds))],
		['memory MiB', ...all.map(mostMib)],
	];
}

/** The goal that the largest hardly takes longer than the smallest. */
function flat(found, what) {
	const names = Object.keys(found).map(Number), [few, many] = [names[0], names.at(-1)];
	return goal(`a message ${what(shown(many))}, times one ${what(shown(few))}`, 'at most', 1.3,
		p50(found[many]) / p50(found[few]));
}

const line = (title, found) => ({ title,
	points: Object.entries(found).map(([size, rounds]) => [size, p50(rounds)]) });

function report(lengths, { found, files, each_bytes, listed }) {
	return {
		tables: [
			table([['a message in a thread of so many', ...LENGTHS.map(shown)], ...rows(lengths)]),
			table([['a message among so many threads', ...SIZES.map(shown)], ...rows(found),
				['the database, MiB', ...files.map((size) => short(size / 2 ** 20))]]),
			table([[`${PAGE} of ${shown(SIZES.at(-1))} threads by \`GET /v1/threads\``,
				...Object.keys(listed)], ...rows(listed)]),
			`On disk a question of ${QUESTION.length} bytes with its answer of ${WORDS.length} takes `
				+ `**${Math.round(each_bytes)} bytes**: two messages, a run, its step, and indexes.`,
		],
		goals: [
			flat(lengths, (count) => `in a thread of ${count}`),
			flat(found, (count) => `among ${count} threads`),
		],
		plots: [{
			name: 'length', title: 'Cost against length', y: 'ms, p50', log: 'x',
			x: 'messages in the thread, or threads in the database',
			lines: [line('messages in the thread', lengths), line('threads in the database', found)],
		}],
	};
}
