#!/bin/sh
# Put deep-chat from npm in place for the chat page: www/deep-chat/, with the licences of what is in it.
#
# Its bundle is a module, which a page of another site could load only by CORS, and it defines an element
# whose name that page may use already. So it is made an ordinary script inside a function, which defines
# <assistant-chat-inside> and takes its markdown plugins from the script element's `plugins`.
set -eu
cd "$(dirname "$0")/.."

made=www/deep-chat
scratch=build/www
packages=$scratch/node_modules
bundle=$packages/deep-chat/dist/deepChat.bundle.js

fail() {
	echo "www: $1" >&2
	exit 1
}

licenses() {
	for license in "$packages"/*/LICENSE* "$packages"/@*/*/LICENSE*; do
		folder=${license%/*}
		printf '%s\n\n' "${folder#"$packages"/}"
		cat "$license"
		printf '\n\n'
	done
}

# Replace $1, which must occur once in the bundle, by $2; neither may contain a character special to sed.
replace() {
	[ "$(grep -oF "$1" $scratch/bundle.js | wc -l)" -eq 1 ] ||
		fail "$bundle is not as it is known: $1"
	sed "s/$1/$2/" $scratch/bundle.js >$scratch/replaced.js
	mv $scratch/replaced.js $scratch/bundle.js
}

mkdir -p $scratch $made
cp www/package.json www/package-lock.json $scratch/
npm ci --prefix $scratch --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
	fail "npm could not fetch deep-chat; its words are above"
licenses >$made/LICENSES
cp $bundle $scratch/bundle.js
replace 'customElements.define("deep-chat",' 'customElements.define("assistant-chat-inside",'
replace 'window.remarkable_plugins' 'remarkablePlugins'
replace ';export{Nl as DeepChat};' ';'
{
	echo '((remarkablePlugins) => { "use strict";'
	cat $scratch/bundle.js
	echo '})(document.currentScript.plugins);'
} >$scratch/deepChat.js
mv $scratch/deepChat.js $made/deepChat.js
