#!/bin/sh
# Copy the chat page, which make www has completed, to a web server: tools/copy-page.sh FOLDER
#
# An index.html that is there already has the site's own name and greeting, and is kept.
set -eu

[ $# -eq 1 ] || { echo "usage: tools/copy-page.sh FOLDER" >&2; exit 2; }
folder=$(realpath -m "$1")
cd "$(dirname "$0")/../www"

[ -e deep-chat/deepChat.js ] || { echo "copy-page: the page is not complete; run make www first" >&2; exit 1; }
install -d "$folder/deep-chat"
[ -e "$folder/index.html" ] || install -m 0644 index.html "$folder/"
install -m 0644 chat.js chat.css embed.html .htaccess "$folder/"
install -m 0644 deep-chat/* "$folder/deep-chat/"
