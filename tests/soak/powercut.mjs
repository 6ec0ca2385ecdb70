// What a power cut leaves of a folder: reads powercut.c's journal, undoes what was not synced, and redoes
// what the disk had written anyway.

import fs from 'node:fs';
import path from 'node:path';

const KINDS = ['write', 'truncate', 'create', 'rename', 'unlink', 'sync'];
const HEAD = 8;
const FOLDER = 0; // the folder's inode, in a sync

/** The journal's records, in order. */
export function readJournal(journal) {
	const bytes = fs.existsSync(journal) ? fs.readFileSync(journal) : Buffer.alloc(HEAD);
	const end = Number(bytes.readBigUInt64LE(0));
	const records = [];
	for (let at = HEAD; at < end;) {
		const number = (index) => Number(bytes.readBigUInt64LE(at + index * 8));
		const [kind, inode, offset, size] = [0, 1, 2, 3].map(number);
		let next = at + 8 * 8;
		const [from, to, before, after] = [4, 5, 6, 7].map(number)
			.map((length) => bytes.subarray(next, next += length));
		const names = { from: from.toString(), to: to.toString() };
		records.push({ at, kind: KINDS[kind], inode, offset, size, ...names, before, after });
		at = next;
	}
	// A removed file still exists, under the record's position.
	return records.map((record) => ({ ...record, saved: `${journal}.${record.at}` }));
}

// The records that no later sync covers.
function unsynced(records) {
	const synced = new Map();
	const until = (inode) => synced.get(inode) ?? 0;
	return records.toReversed().filter(({ kind, inode, offset, at }) => {
		if (kind === 'sync') synced.set(inode, Math.max(until(inode), offset));
		if (kind === 'create') return at >= Math.max(until(inode), until(FOLDER));
		return kind !== 'sync' && at >= until(/rename|unlink/.test(kind) ? FOLDER : inode);
	}).reverse();
}

// A folder in which records are undone and redone; files are identified by their inodes.
class Disk {
	constructor(folder) {
		this.folder = folder;
		this.names = new Map();
		for (const name of fs.readdirSync(folder)) this.learn(name);
	}

	at(name) {
		return path.join(this.folder, name);
	}

	learn(name) {
		this.setName(fs.statSync(this.at(name)).ino, name);
	}

	setName(inode, name) {
		for (const [other, its] of this.names) if (its === name) this.names.delete(other);
		this.names.set(inode, name);
	}

	// A file without a name is gone, whatever was written to it.
	edit(inode, change) {
		if (!this.names.has(inode)) return;
		const fd = fs.openSync(this.at(this.names.get(inode)), 'r+');
		change(fd);
		fs.closeSync(fd);
	}

	move(inode, from, to) {
		if (this.names.get(inode) !== from) return;
		fs.renameSync(this.at(from), this.at(to));
		this.setName(inode, to);
	}

	remove(inode, name) {
		if (this.names.get(inode) !== name) return;
		fs.unlinkSync(this.at(name));
		this.names.delete(inode);
	}

	bringBack(saved, name) {
		if (!fs.existsSync(saved) || fs.existsSync(this.at(name))) return;
		fs.linkSync(saved, this.at(name));
		this.learn(name);
	}

	undo({ kind, inode, offset, size, saved, from, to, before }) {
		if (kind === 'create') {
			this.remove(inode, from);
		} else if (kind === 'rename') {
			this.move(inode, to, from);
			this.bringBack(saved, to);
		} else if (kind === 'unlink') {
			this.bringBack(saved, from);
		} else if (kind !== 'sync') {
			this.edit(inode, (fd) => {
				fs.writeSync(fd, before, 0, before.length, offset);
				fs.ftruncateSync(fd, size);
			});
		}
	}

	redo({ kind, inode, offset, from, to, after }) {
		if (kind === 'create') {
			fs.writeFileSync(this.at(from), '', { mode: 0o600 });
			this.setName(inode, from);
		} else if (kind === 'rename') {
			this.move(inode, from, to);
		} else if (kind === 'unlink') {
			this.remove(inode, from);
		} else if (kind === 'write') {
			this.edit(inode, (fd) => fs.writeSync(fd, after, 0, after.length, offset));
		} else if (kind === 'truncate') {
			this.edit(inode, (fd) => fs.ftruncateSync(fd, offset));
		}
	}
}

/** Undo the records, the last one first, and redo those that `kept` selects. */
export function replay(folder, records, kept) {
	const disk = new Disk(folder);
	for (const record of records.toReversed()) disk.undo(record);
	for (const record of records.filter(kept)) disk.redo(record);
}

/** Cut the disk's power: `kept` decides for each unsynced record whether it survives. */
export function cutPower(journal, folder, kept) {
	const records = unsynced(readJournal(journal));
	replay(folder, records, kept);
	for (const name of fs.readdirSync(folder)) {
		// Memory, not disk.
		if (name.endsWith('-shm')) fs.unlinkSync(path.join(folder, name));
	}
	dropJournal(journal);
	return records.length;
}

/** Delete the journal, and the files that it keeps. */
export function dropJournal(journal) {
	const [folder, name] = [path.dirname(journal), path.basename(journal)];
	for (const one of fs.readdirSync(folder)) {
		if (one.startsWith(name)) fs.unlinkSync(path.join(folder, one));
	}
}
