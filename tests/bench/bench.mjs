// Run all benchmarks: a report in Markdown on standard output, all figures in build/bench.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { depth } from './depth.mjs';
import { load } from './load.mjs';

const BENCHMARKS = { depth, load };

const folder = path.resolve(import.meta.dirname, '../../build/bench');
fs.mkdirSync(folder, { recursive: true });
const [{ model }] = os.cpus();
console.log(`${os.cpus().length} cores (${model}), Linux ${os.release()}; clients, web server, `
	+ 'program and model server on this one machine.\n');
for (const [name, run] of Object.entries(BENCHMARKS)) {
	const { raw, report } = await run();
	fs.writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(raw, null, '\t')}\n`);
	console.log(report);
}
