// Run the measures, or those that BENCH names (BENCH=1,3), and write under build/bench: NAME.json, all
// figures; tables.md; NAME.svg. QUICK=1: short, to see whether it runs.

import fs from 'node:fs';
import path from 'node:path';
import { BUILD, QUICK, ROUNDS, SLICE_S, table, timed } from './lib-bench.mjs';
import { machine } from './machine.mjs';
import { plot } from './plot.mjs';

const MEASURES = 7;
const wanted = process.env.BENCH
	? process.env.BENCH.split(',').map(Number)
	: Array.from({ length: MEASURES }, (_, i) => i + 1);

const goals = [], sections = [], where = await machine();
for (const number of wanted) {
	const { title, run } = await import(`./measure-${number}.mjs`);
	console.error(`bench: ${number}. ${title}`);
	let result;
	const ms = await timed(async () => { result = await run(); });
	console.error(`bench: took ${Math.round(ms / 1000)} s`);
	fs.writeFileSync(path.join(BUILD, `measure-${number}.json`), `${JSON.stringify(result.raw)}\n`);
	result.plots?.forEach(plot);
	const images = (result.plots ?? []).map(({ name, title: alt }) => `![${alt}](${name}.svg)\n`);
	goals.push(...result.goals.map((one) => [number, one.what, one.goal, `**${one.shown}**`,
		one.met ? 'reached' : 'missed']));
	sections.push(`### ${number}. ${title}\n`, ...result.tables, ...images);
}
const how = `${QUICK ? 'QUICK=1: too short to mean anything. ' : ''}${ROUNDS} rounds by turns of `
	+ `${SLICE_S} s each; **median** (lowest – highest).`;
const text = [where, how, table([['', 'what', 'goal', 'found', ''], ...goals]), ...sections]
	.map((one) => one.trimEnd()).join('\n\n');
fs.writeFileSync(path.join(BUILD, 'tables.md'), `${text}\n`);
console.log(text);
