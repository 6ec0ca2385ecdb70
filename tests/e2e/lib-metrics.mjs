// GET /metrics, read by Prometheus' own parser for Python.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { eventually } from './lib.mjs';

const PARSER = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([[family.name, family.type, family.documentation,
	[[sample.name, sample.labels, sample.value] for sample in family.samples]]
	for family in text_string_to_metric_families(sys.stdin.read())]))
`;

/** All metrics; asserts that they are as Prometheus wants them. */
export async function scrape(site) {
	const answer = await site.request('GET', '/metrics');
	assert.equal(answer.status, 200, answer.text);
	assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
	// Debian's package is for Debian's Python.
	const json = execFileSync('/usr/bin/python3', ['-c', PARSER],
		{ input: answer.text, encoding: 'utf8' });
	return new Metrics(JSON.parse(json), answer.text);
}

/** Poll until `probe`, given the metrics, returns something truthy; returns the metrics. */
export function scrapeUntil(site, what, probe) {
	return eventually(what, async () => {
		const metrics = await scrape(site);
		return await probe(metrics) ? metrics : undefined;
	});
}

class Metrics {
	constructor(families, text) {
		this.text = text;
		this.families = families;
		this.samples = families.flatMap(([, , , samples]) => samples);
		const names = families.map(([name]) => name);
		assert.deepEqual(names, [...new Set(names)], 'a family is in two pieces');
		const keys = this.samples.map(([name, labels]) => JSON.stringify([name, labels]));
		assert.deepEqual(keys, [...new Set(keys)], 'a series is there twice');
		for (const [name, type, help, samples] of families) {
			assert.match(name, /^assistants_/);
			assert.match(type, /^(counter|gauge|histogram)$/, name);
			assert.match(help, /^[A-Z].*\.$/, name);
			if (type === 'histogram') this.assertHistogram(name, samples);
		}
	}

	assertHistogram(name, samples) {
		const buckets = samples.filter((one) => one[0] === `${name}_bucket`);
		const bounds = buckets.map(([, { le }]) => Number(le.replace('+Inf', 'Infinity')));
		const counts = buckets.map(([, , value]) => value);
		const rising = (a, b) => a - b;
		assert.deepEqual(bounds, [...bounds].sort(rising), name);
		assert.deepEqual(counts, [...counts].sort(rising), name);
		assert.equal(bounds.at(-1), Infinity, name);
		assert.equal(counts.at(-1), this.sum(`${name}_count`), name);
	}

	/** The sum of the samples with this name and these labels; 0: none. */
	sum(name, labels = {}) {
		return this.samples
			.filter(([one, has]) => one === name &&
				Object.entries(labels).every(([label, value]) => has[label] === value))
			.reduce((sum, [, , value]) => sum + value, 0);
	}

	/** The samples with this name as {label's value: value}. */
	by(name, label) {
		return Object.fromEntries(this.samples.filter(([one]) => one === name)
			.map(([, labels, value]) => [labels[label], value]));
	}
}
