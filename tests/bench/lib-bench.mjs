// What all benchmarks need: what a process has used, the middle and the spread of rounds, tables.

import fs from 'node:fs';
import { Bench } from '../e2e/lib.mjs';

// The kernel counts processor time in these, on every system that it shows to programs.
const TICKS_PER_S = 100;

/** Resident memory in KiB, processor time in seconds, and threads, of the process `pid`. */
export function usage(pid) {
	const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
	const stat = fs.readFileSync(`/proc/${pid}/stat`, 'latin1');
	// Behind the name, which may have anything in it, come the third field and those after it.
	const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
	return {
		resident_kib: Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]),
		threads: Number(/^Threads:\s+(\d+)/m.exec(status)[1]),
		cpu_s: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S,
	};
}

/** The value that `part` of the values do not exceed. */
export function quantile(values, part) {
	const sorted = [...values].sort((a, b) => a - b);
	return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)];
}

/** The rounds' median, and between which values all are, in text. */
export function spread(values, digits = 0) {
	const [low, middle, high] = [0, 0.5, 1].map((part) => quantile(values, part).toFixed(digits));
	return `${middle} (${low} – ${high})`;
}

/** A Markdown table of rows of cells, the first row its head. */
export function table(rows) {
	const line = (cells) => `| ${cells.join(' | ')} |\n`;
	const [head, ...rest] = rows;
	return [line(head), line(head.map(() => '---')), ...rest.map(line)].join('');
}

/** Milliseconds that `work` takes. */
export async function timed(work) {
	const start = performance.now();
	await work();
	return performance.now() - start;
}

/** Call `body` with a bench of the end-to-end tests, which is gone afterwards. */
export async function withBench(body) {
	const bench = new Bench();
	try {
		const result = await body(bench);
		await bench.close();
		bench.assertQuiet();
		return result;
	} catch (error) {
		console.error(`the program's log ends:\n${bench.log().slice(-4000)}`);
		throw error;
	} finally {
		await bench.clear();
	}
}
