// Plots, as SVG, by gnuplot.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { BUILD } from './lib-bench.mjs';

/** A plot of `lines`, each with a title and points, into NAME.svg. */
export async function plot({ name, title, x, y, log = '', lines }) {
	const quote = (text) => `'${text.replaceAll("'", "''")}'`;
	const script = `
set terminal svg size 800,480 font 'sans,13' background '#ffffff'
set output ${quote(path.join(BUILD, `${name}.svg`))}
set title ${quote(title)}
set xlabel ${quote(x)}
set ylabel ${quote(y)}
set grid
set key outside right top
${log ? `set logscale ${log}` : 'set yrange [0:*]'}
plot ${lines.map((line) => `'-' with linespoints pointtype 7 pointsize 0.5 title ${quote(line.title)}`)
		.join(', ')}
${lines.map(({ points }) => `${points.map((point) => point.join(' ')).join('\n')}\ne\n`).join('')}`;
	execFileSync('gnuplot', [], { input: script, stdio: ['pipe', 'inherit', 'inherit'] });
}
