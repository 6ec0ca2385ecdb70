#!/bin/bash
# Serve cgi-bin/assistants.fcgi on http://localhost:PORT (8080) with lighttpd, until Ctrl-C.
#
# The configuration is lighttpd.conf.example with other paths and this port. What the program keeps
# goes to ASSISTANTS_STATE_DIR, or to build/demo/state.
set -euo pipefail

export ASSISTANTS_STATE_DIR=${ASSISTANTS_STATE_DIR:-$(dirname "$0")/../build/demo/state}
# The program runs in another folder, so relative paths are made absolute here.
for name in $(compgen -e | grep -E '^(OPENAI|ASSISTANTS)_(.*_)?(FILE|DIR|CONFIG|DEFINITION)$'); do
	[ -z "${!name}" ] || declare -x "$name=$(realpath -ms "${!name}")"
done

cd "$(dirname "$0")/.."
port=${PORT:-8080}
folder=build/demo

fail() {
	echo "demo: $1" >&2
	exit 1
}

port_taken() {
	local address
	for address in 127.0.0.1 ::1; do
		(exec 3<>"/dev/tcp/$address/$port") 2>/dev/null && return
	done
	return 1
}

# The chat page, which says above the conversation which model answers.
write_page() {
	local page words
	words=$(greet_person | sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' \
		-e 's|OPENAI_[A-Z_]*=.* make demo|<code>&</code>|' -e 's|.*|<p>&</p>|')
	rm -rf "$folder/chat"
	tools/copy-page.sh "$folder/chat"
	page=$(<www/index.html)
	page=${page/'</assistant-chat>'/"$words</assistant-chat>"}
	echo "$page" >"$folder/chat/index.html"
}

# The names are relative because lighttpd splits bin-path at blanks, and a socket's path may have at most 107
# bytes. A checkout may be anywhere.
write_config() {
	mkdir -p "$folder/www"
	write_page
	rm -f "$folder"/socket-*
	ln -sfn ../../cgi-bin/assistants.fcgi "$folder/assistants.fcgi"
	sed -e "s|^server.port = .*|server.port = $port|" \
		-e 's|"/var/www/html"|"www"|' \
		-e 's|"/run/lighttpd/assistants-fcgi"|"socket"|' \
		-e 's|"/usr/local/lib/.*/assistants.fcgi"|"./assistants.fcgi"|' \
		-e 's|"/usr/local/lib/.*/www/"|var.CWD + "/chat/"|' \
		lighttpd.conf.example >"$folder/lighttpd.conf"
}

# The configuration file that has such a line, if there is one.
config_with() {
	local files=(~/.config/assistants-fcgi/config /etc/assistants-fcgi.conf)
	[ -z "${ASSISTANTS_CONFIG-}" ] || files=("$ASSISTANTS_CONFIG")
	grep -lsE "$1" "${files[@]}" | head -n 1 || true
}

who_answers() {
	local file
	file=$(config_with '^(OPENAI_|ASSISTANTS_(UPSTREAM_URL|MODEL_API)=)')
	if [ -n "${ASSISTANTS_UPSTREAM_URL-}" ]; then
		echo "the assistant at $ASSISTANTS_UPSTREAM_URL (ASSISTANTS_UPSTREAM_URL)"
	elif [ "${ASSISTANTS_MODEL_API-}" = offline ]; then
		echo "the offline model (ASSISTANTS_MODEL_API)"
	elif [ -n "${OPENAI_BASE_URL-}" ]; then
		echo "the model server at $OPENAI_BASE_URL (OPENAI_BASE_URL)"
	elif [ -n "${OPENAI_API_KEY-}${OPENAI_API_KEY_FILE-}" ]; then
		echo "OpenAI's model"
	elif [ -n "$file" ]; then
		echo "as $file says"
	else
		echo "the built-in offline model, a small script that knows little"
	fi
}

# Which model answers, and how to use a real one.
greet_person() {
	echo "Who answers: $(who_answers)."
	[[ $(who_answers) = *offline* ]] || return 0
	cat <<-END
		For a real model, end the demo and start it again with OpenAI's or one on this machine:
		OpenAI: OPENAI_API_KEY=… make demo
		Ollama, llama.cpp: OPENAI_BASE_URL=http://localhost:11434/v1 ASSISTANTS_MODEL=… make demo
	END
}

# Whether the assistants are on another server, so that there is no /v1.
is_remote() {
	[ -n "${ASSISTANTS_UPSTREAM_URL-}$(config_with '^ASSISTANTS_UPSTREAM_URL=')" ]
}

# A key for /v1, made once.
make_key() {
	local key
	[ ! -s "$key_file" ] || return 0
	key=$(cgi-bin/assistants.fcgi --make-key demo 2>/dev/null) ||
		fail "no key could be made: cgi-bin/assistants.fcgi --make-key demo says why"
	(umask 077 && echo "$key" >"$key_file")
}

# The value of NAME in the environment, or else in the configuration file.
setting() {
	local file
	file=$(config_with "^$1=")
	if [ -n "${!1-}" ] || [ -z "$file" ]; then
		echo "${!1-}"
	else
		sed -n "s/^$1=//p" "$file" | tail -n 1
	fi
}

# The model of the gateway's assistant, for programs that make their own assistant.
model() {
	local definition model
	definition=$(setting ASSISTANTS_DEFINITION)
	[ -z "$definition" ] ||
		model=$(node -p 'JSON.parse(fs.readFileSync(process.argv[1])).model' "$definition")
	[ -n "${model-}" ] || model=$(setting ASSISTANTS_MODEL)
	echo "${model:-gpt-5.4-mini}"
}

greet_programs() {
	cat <<-END
		The Assistants API is below /v1. For Node, in a folder with \`npm install openai\`:

		  export OPENAI_BASE_URL=http://localhost:$port/v1
		  export OPENAI_API_KEY=\$(cat $(printf %q "$key_file"))
		  curl -s -H "Authorization: Bearer \$OPENAI_API_KEY" \$OPENAI_BASE_URL/assistants
		  node --input-type=module -e "import OpenAI from 'openai';
		    const { assistants, threads } = new OpenAI().beta;
		    const { id } = await assistants.create({ model: '$(model)' });
		    const messages = [{ role: 'user', content: 'I need to solve 3x + 11 = 14' }];
		    const run = await threads.createAndRunStream({ assistant_id: id, thread: { messages } })
		      .on('textDelta', ({ value }) => process.stdout.write(value)).finalRun();
		    if (run.status !== 'completed') throw new Error(run.last_error?.message ?? run.status);"

	END
}

greet() {
	cat <<-END
		http://localhost:$port/chat/ is a page to talk to it; Ctrl-C ends it. By curl:

		  id=\$(curl -sX POST localhost:$port/threads)
		  curl -s --data 'I need to solve 3x + 11 = 14' localhost:$port/threads/\$id/messages
		  curl -s --data 'call add_numbers {"a": 2, "b": 40}' localhost:$port/threads/\$id/messages

		$(greet_person)
		State: $ASSISTANTS_STATE_DIR

	END
}

[[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]] || fail "PORT=$port is no port"
[ -x cgi-bin/assistants.fcgi ] || fail "cgi-bin/assistants.fcgi is not there; run make first"
# The printed `export OPENAI_BASE_URL=…` is for programs; in the same shell it would reach the next demo.
[[ ${OPENAI_BASE_URL-} != *://localhost:$port/* ]] ||
	fail "OPENAI_BASE_URL is the demo's own address; unset OPENAI_BASE_URL OPENAI_API_KEY"
! port_taken || fail "port $port is taken; choose another one: make demo PORT=8081"
[ -n "${ASSISTANTS_TOOLS_DIR-}$(config_with '^ASSISTANTS_TOOLS_DIR=')" ] ||
	export ASSISTANTS_TOOLS_DIR=$PWD/examples/tools
key_file=$ASSISTANTS_STATE_DIR/demo-key
write_config
is_remote || make_key
greet
is_remote || greet_programs
cd "$folder"
# lighttpd replaces this script, so that a signal for the script ends lighttpd, and so the program.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
exec lighttpd -D -f lighttpd.conf
