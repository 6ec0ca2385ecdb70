// Shared by all measures: what processes have used, load by wrk, alternating rounds, medians and spreads,
// tables.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../e2e/lib.mjs';

export const QUICK = process.env.QUICK === '1';
export const ROUNDS = QUICK ? 2 : 5;
// How long a site has the machine before the next one's turn; wrk counts whole seconds.
export const SLICE_S = QUICK ? 1 : 2;
export const HERE = import.meta.dirname;
export const BUILD = path.resolve(HERE, '../../build/bench');

// The unit in which the kernel reports processor time to programs, on every system.
const TICKS_PER_S = 100;
const SAMPLE_MS = 250;

/* --- processes --- */

function parentOf(pid) {
	try {
		const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
		// The name may contain anything; the third field follows it.
		return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
	} catch {
		return undefined;
	}
}

/** The process `pid` and all below it. */
export function family(pid) {
	const parents = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))
		.map((one) => [Number(one), parentOf(one)]);
	const found = [pid];
	for (const one of found) {
		found.push(...parents.filter(([, parent]) => parent === one).map(([child]) => child));
	}
	return found;
}

function cpuOf(pid) {
	try {
		const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
		const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
		// Its own, and that of children that have ended.
		return fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / TICKS_PER_S;
	} catch {
		return 0;
	}
}

/** Processor time, in seconds, of these processes and their descendants. */
export function cpu(pids) {
	return pids.flatMap(family).reduce((sum, pid) => sum + cpuOf(pid), 0);
}

/** Their memory in MiB; shared pages count once. */
export function memory(pids) {
	const kib = pids.flatMap(family).map((pid) => {
		try {
			return Number(/^Pss:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`))[1]);
		} catch {
			return 0;
		}
	});
	return kib.reduce((sum, one) => sum + one, 0) / 1024;
}

/** Resident memory of one process in KiB. */
export function resident(pid) {
	return Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`))[1]);
}

/** Run `work`; returns its result, and the processes' peak of memory. */
async function withMemory(pids, work) {
	let peak_mib = memory(pids);
	const timer = setInterval(() => { peak_mib = Math.max(peak_mib, memory(pids)); }, SAMPLE_MS);
	try {
		return { ...await work(), peak_mib };
	} finally {
		clearInterval(timer);
	}
}

/** Run `work` with these processes on the first core only. */
export async function onOneCore(pids, work) {
	const all = pids.flatMap(family), last = os.cpus().length - 1;
	const on = (cores) => all.forEach((pid) =>
		execFileSync('taskset', ['-acp', cores, String(pid)], { stdio: 'ignore' }));
	on('0');
	try {
		return await work();
	} finally {
		on(`0-${last}`);
	}
}

/** The standard output of a program, which must succeed. */
export async function output(command, args, { input = '', env = process.env, stderr } = {}) {
	const child = start(command, args, { env, stdio: ['pipe', 'pipe', stderr ?? 'inherit'] });
	child.stdin.end(input);
	let text = '';
	child.stdout.on('data', (piece) => { text += piece; });
	const ended = await child.ended;
	assert.deepEqual(ended, { code: 0, signal: null }, `${command} ${args.join(' ')}`);
	return text;
}

/* --- load --- */

/**
 * Load on `url` by wrk with one of our scripts: `connections` at once. With `exact` each connection
 * has a thread of its own, so that the script can time each request. `env` are the script's
 * variables. Resolves to what done.lua prints.
 */
export async function wrk(url, { script = 'messages.lua', connections, seconds = SLICE_S, exact = false,
	env = {} }) {
	const threads = String(exact ? connections : 1);
	const args = ['-t', threads, `-c${connections}`, `-d${seconds}s`,
		'--timeout', '60s', '-s', path.join(HERE, script), url];
	const text = await output('wrk', args, { env: { ...process.env, ...env, STEP: threads,
		EXACT: exact ? '1' : '0', LUA_PATH: `${HERE}/?.lua;;` } });
	const line = text.split('\n').find((one) => one.startsWith('{'));
	assert.ok(line, text);
	const found = JSON.parse(line);
	assert.ok(!found.bad, `${found.bad} of ${found.requests} answers are wrong`);
	return found;
}

/**
 * A slice of load on a site: wrk's results, the processor time of the site's own processes, and
 * their peak of memory, if it has any.
 */
export async function slice({ url, pids }, load) {
	if (pids.length === 0) return wrk(url, load);
	const before = cpu(pids);
	const found = await withMemory(pids, () => wrk(url, load));
	// Requests under way are cancelled when wrk ends; they must not fall into the next slice.
	await sleep(50);
	return { ...found, cpu_s: cpu(pids) - before };
}

/**
 * Measure each of `names` in each round, beginning with another one each time; returns all results.
 */
export async function byTurns(names, measure, rounds = ROUNDS) {
	const results = Object.fromEntries(names.map((name) => [name, []]));
	for (let round = 0; round < rounds; round++) {
		for (let i = 0; i < names.length; i++) {
			const name = names[(round + i) % names.length];
			results[name].push(await measure(name, round));
		}
	}
	return results;
}

/* --- figures --- */

/** The value that this part of the values does not exceed. */
export function quantile(values, part) {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

export const median = (values) => quantile(values, 0.5);

/** A number with three significant digits, or all digits before the point. */
export function short(value) {
	if (!Number.isFinite(value)) return '–';
	const digits = value === 0 ? 1 : Math.ceil(Math.log10(Math.abs(value) + 1e-12));
	return value.toFixed(Math.min(3, Math.max(0, 3 - Math.max(digits, 0))));
}

/** The median of the rounds, and their range, as text. */
export function spread(values) {
	const [low, middle, high] = [0, 0.5, 1].map((part) => short(quantile(values, part)));
	return `**${middle}** (${low} – ${high})`;
}

/** One figure of each round, as spread() prints it. */
export const each = (rounds, figure) => spread(rounds.map(figure));

/** Processor time of a request in ms; `count` returns a round's requests. */
export function processorMs(rounds, count = ({ requests }) => requests) {
	return short(median(rounds.map((one) => 1000 * one.cpu_s / count(one))));
}

export const mostMib = (rounds) => short(Math.max(...rounds.map((one) => one.peak_mib)));
export const errors = (rounds) => rounds.reduce((sum, one) => sum + one.errors, 0);

/** The cells that all rounds of load have, and their headings. */
export const LOAD = ['p50 ms', 'p99 ms', 'processor ms each', 'memory MiB', 'errors'];
export function loadCells(rounds) {
	return [each(rounds, (one) => one.p50_ms), each(rounds, (one) => one.p99_ms),
		processorMs(rounds), mostMib(rounds), errors(rounds)];
}

/** A goal as a row: what is measured, the bound (`at most` or `at least`), and the value. */
export function goal(what, bound, limit, value, unit = '') {
	const met = bound === 'at most' ? value <= limit : value >= limit;
	return { what, goal: `${bound} ${limit}${unit}`, value, shown: `${short(value)}${unit}`, met };
}

/** A Markdown table of rows of cells, the first row its head. */
export function table(rows) {
	const line = (cells) => `| ${cells.join(' | ')} |\n`;
	const [head, ...rest] = rows;
	return [line(head), line(head.map(() => '---')), ...rest.map(line)].join('');
}

/** Milliseconds that `work` takes. */
export async function timed(work) {
	const begun = performance.now();
	await work();
	return performance.now() - begun;
}
