// Plots, as SVG, by gnuplot.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { BUILD } from './lib-bench.mjs';

/**
 * A plot of `lines` into NAME.svg: each has a title and points, and may have a number as its colour, and
 * be dashed. `log` names the axes that are logarithmic.
 */
export function plot({ name, title, x, y, log = '', lines }) {
	const quote = (text) => `'${text.replaceAll("'", "''")}'`;
	const style = ({ title: what, color, dashed }, i) =>
		`'-' with linespoints linecolor ${color ?? i + 1} dashtype ${dashed ? 2 : 1} `
		+ `linewidth 1.5 pointtype 7 pointsize 0.5 title ${quote(what)}`;
	const script = `
set terminal svg size 800,560 font 'sans,13' background '#ffffff'
set output ${quote(path.join(BUILD, `${name}.svg`))}
set title ${quote(title)}
set xlabel ${quote(x)}
set ylabel ${quote(y)}
set grid
set key below left
${log ? `set logscale ${log}` : ''}
${log.includes('y') ? '' : 'set yrange [0:*]'}
plot ${lines.map(style).join(', ')}
${lines.map(({ points }) => `${points.map((point) => point.join(' ')).join('\n')}\ne\n`).join('')}`;
	execFileSync('gnuplot', [], { input: script, stdio: ['pipe', 'inherit', 'inherit'] });
}
