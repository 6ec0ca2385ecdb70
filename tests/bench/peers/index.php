<?php
// The assistant as a PHP script: two endpoints on a Responses API, the conversations in SQLite.
//
// DATABASE, MODEL_URL and OPENAI_API_KEY come from the environment.

declare(strict_types=1);

const INSTRUCTIONS = 'You are a personal math tutor. Answer briefly, in a sentence or less.';

function database(): PDO
{
	$db = new PDO('sqlite:' . getenv('DATABASE'), null, null, [
		PDO::ATTR_PERSISTENT => true,
		PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
		PDO::ATTR_TIMEOUT => 20,
	]);
	// Of a connection, not of the file; a process keeps its connection.
	$db->exec('PRAGMA synchronous = NORMAL');
	return $db;
}

function finish(int $status, string $text): never
{
	http_response_code($status);
	header('Content-Type: text/plain; charset=utf-8');
	echo $text;
	exit;
}

function add_message(PDO $db, string $thread, string $role, string $content): void
{
	$db->prepare('INSERT INTO messages (thread, created_at, role, content) VALUES (?, ?, ?, ?)')
		->execute([$thread, time(), $role, $content]);
}

/** The conversation as the Responses API's input. */
function conversation(PDO $db, string $thread): array
{
	$rows = $db->prepare('SELECT role, content FROM messages WHERE thread = ? ORDER BY seq');
	$rows->execute([$thread]);
	return $rows->fetchAll(PDO::FETCH_ASSOC);
}

/** The model's words, or null. */
function ask(array $input): ?string
{
	$curl = curl_init(getenv('MODEL_URL') . '/responses');
	curl_setopt_array($curl, [
		CURLOPT_POSTFIELDS => json_encode([
			'model' => 'gpt-5.4-mini', 'instructions' => INSTRUCTIONS, 'input' => $input,
			'store' => false,
		], JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE),
		CURLOPT_HTTPHEADER => [
			'Content-Type: application/json', 'Authorization: Bearer ' . getenv('OPENAI_API_KEY'),
		],
		CURLOPT_RETURNTRANSFER => true,
		CURLOPT_TIMEOUT => 600,
	]);
	$body = curl_exec($curl);
	if ($body === false || curl_getinfo($curl, CURLINFO_RESPONSE_CODE) !== 200) {
		return null;
	}
	$words = [];
	foreach (json_decode($body, true, 64, JSON_THROW_ON_ERROR)['output'] as $item) {
		foreach ($item['content'] ?? [] as $part) {
			$words[] = $part['text'] ?? $part['refusal'] ?? '';
		}
	}
	return implode("\n\n", $words);
}

function post_thread(): never
{
	$id = 'thread_' . bin2hex(random_bytes(12));
	database()->prepare('INSERT INTO threads (id, created_at) VALUES (?, ?)')->execute([$id, time()]);
	finish(201, $id);
}

function post_message(string $thread): never
{
	$db = database();
	$text = file_get_contents('php://input');
	if (trim($text) === '' || !preg_match('//u', $text)) {
		finish(400, 'A message needs words, as UTF-8.');
	}
	$known = $db->prepare('SELECT 1 FROM threads WHERE id = ?');
	$known->execute([$thread]);
	if ($known->fetchColumn() === false) {
		finish(404, 'There is no such thread.');
	}
	$known->closeCursor();
	add_message($db, $thread, 'user', $text);
	$answer = ask(conversation($db, $thread));
	if ($answer === null) {
		finish(502, 'The assistant failed.');
	}
	add_message($db, $thread, 'assistant', $answer);
	finish(200, $answer);
}

$path = $_SERVER['PATH_INFO'] ?? '';
if ($_SERVER['REQUEST_METHOD'] === 'POST' && $path === '/threads') {
	post_thread();
}
if ($_SERVER['REQUEST_METHOD'] === 'POST' && preg_match('~^/threads/(\w+)/messages$~', $path, $match)) {
	post_message($match[1]);
}
finish(404, 'There is nothing here.');
