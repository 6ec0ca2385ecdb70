// Debian's headless Chromium, and the chat page in it as a user finds it: by role and name.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { after } from 'node:test';
import { chromium } from 'playwright-core';
import { PATIENCE_MS, eventually } from './lib.mjs';

const SCREENSHOTS = path.resolve(import.meta.dirname, '../../build/screenshots');
const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const DESKTOP = { width: 1100, height: 760 };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

let browser;
after(() => browser?.close());

/**
 * Open an address in a fresh browser; `options` are playwright's. At the end of the test, the page
 * must have asked no other origins than `origins`, and its console may only have failed requests.
 */
export async function openPage(bench, url, { origins = [], ...options } = {}) {
	// Without its sandbox, which does not work for root.
	browser ??= await chromium.launch({ executablePath: '/usr/bin/chromium-headless-shell', chromiumSandbox: false });
	const context = await browser.newContext({ viewport: DESKTOP, ...options });
	const page = await context.newPage();
	page.setDefaultTimeout(PATIENCE_MS);
	const said = [];
	const asked = new Set();
	page.on('console', (one) => said.push(one.text()));
	page.on('pageerror', (error) => said.push(String(error)));
	page.on('dialog', (dialog) => said.push(dialog.message()));
	page.on('request', (request) => asked.add(new URL(request.url()).origin));
	bench.onClose(async () => {
		await context.close();
		asked.delete('null');
		assert.deepEqual([...asked].sort(), [new URL(url).origin, ...origins].sort());
		assert.deepEqual(said.filter((line) => !/^Failed to load resource/.test(line)), []);
	});
	await page.goto(url);
	return new Chat(page, said);
}

/**
 * A site of another origin. `pages` maps a path to its content, its Content-Security-Policy and its
 * type, which is HTML by default.
 */
export async function siteOf(bench) {
	const pages = new Map();
	const server = http.createServer(({ url }, response) => {
		const [content, policy, type = 'text/html; charset=utf-8'] = pages.get(url) ?? [];
		if (content === undefined) response.statusCode = 404;
		response.setHeader('Content-Type', type);
		if (policy) response.setHeader('Content-Security-Policy', policy);
		response.end(content);
	}).listen(0, '127.0.0.1');
	await once(server, 'listening');
	bench.onClose(() => {
		server.close();
		server.closeAllConnections();
	});
	return { pages, url: `http://127.0.0.1:${server.address().port}` };
}

/** The chat page, by what a screen reader is told. */
class Chat {
	constructor(page, said) {
		Object.assign(this, { page, said });
		this.input = page.getByRole('textbox', { name: 'Message' });
		this.alert = page.getByRole('alert');
	}

	button(name) {
		return this.page.getByRole('button', { name, exact: true });
	}

	/** Type text and send it by the keyboard. */
	async say(words) {
		await this.input.click();
		await this.page.keyboard.type(words);
		await this.page.keyboard.press('Enter');
	}

	/** The conversation on the screen, [speaker, text] each. */
	conversation() {
		return this.page.getByRole('log').getByRole('group').evaluateAll((groups) => groups
			.map((one) => [one.getAttribute('aria-label'), one.innerText.trim()]));
	}

	/** Wait until the conversation ends with these messages. */
	async sees(...messages) {
		let seen;
		await eventually(`${JSON.stringify(messages)} are seen`, async () => {
			seen = (await this.conversation()).slice(-messages.length);
			return JSON.stringify(seen) === JSON.stringify(messages);
		}).catch((error) => { throw new Error(`${error.message}; but ${JSON.stringify(seen)}`); });
	}

	/** Wait for a live region with this text. */
	told(words) {
		return this.page.getByRole('status').filter({ hasText: words }).waitFor({ state: 'attached' });
	}

	/** Wait for an alert with this text, and, with `name`, a button of that name. */
	async alerted(words, name) {
		await this.alert.filter({ hasText: words }).waitFor();
		if (name) await this.alert.getByRole('button', { name, exact: true }).waitFor();
	}

	/** Save a screenshot as build/screenshots/NAME.png; axe-core must find nothing. */
	async picture(name) {
		fs.mkdirSync(SCREENSHOTS, { recursive: true });
		await this.page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), animations: 'disabled' });
		// axe-core itself tries things that the page's policy blocks.
		const silent = this.said.length;
		await this.page.evaluate(AXE);
		const { violations } = await this.page.evaluate('axe.run()');
		this.said.length = silent;
		assert.deepEqual(violations.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html)]), []);
	}
}
