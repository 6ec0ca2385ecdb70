#!/bin/sh
# The service under a booted systemd: root's --check-config, --make-key and --export see what the service
# sees. Needs root, and a mirror of this Debian.
set -eu
cd "$(dirname "$0")/../.."
test=systemd
. tests/soak/lib-debian.sh

[ $# -gt 0 ] || start_again "$PWD/tests/soak/systemd.sh"
scratch=$1
root=$scratch/root
log=$scratch/log
limit_s=120

packages=systemd,systemd-sysv,dbus,libfcgi0ldbl,libfcgi-bin,libcurl4,libjson-c5,libsqlite3-0,libssl3

# The steps in the head of the unit.
install_program() {
	program=$(sed -n 's/^ExecStart=//p' examples/assistants-fcgi.service)
	install -D -m 0755 cgi-bin/assistants.fcgi "$root$program"
	mkdir "$root/project"
	cp -r examples "$root/project/"
	sed -n '/^#\tmake && make install$/,/^#\tsystemctl enable/p' examples/assistants-fcgi.service |
		sed 's/^#\t*//; /^make /d; /^editor /d; s/ --now//' >"$root/steps"
	chroot "$root" sh -euc 'cd /project && . /steps'
	printf '%s\n' ASSISTANTS_METRICS=on ASSISTANTS_MODEL=the-model >"$root/etc/assistants-fcgi.conf"
}

# Run once by the booted system, which then powers off.
write_probe() {
	cat >"$root/probe.sh" <<-'END'
		set -eu
		fail() { echo "NOT ok: $1"; exit 1; }
		# Send METHOD PATH [BODY], with the key.
		ask() {
			printf '%s' "${3:-}" >/tmp/body
			env -i PATH="$PATH" REQUEST_METHOD="$1" PATH_INFO="$2" CONTENT_TYPE=application/json \
				CONTENT_LENGTH="$(stat -c %s /tmp/body)" HTTP_AUTHORIZATION="Bearer ${key:-}" \
				cgi-fcgi -bind -connect /run/assistants-fcgi/socket </tmp/body
		}
		systemctl is-active --quiet assistants-fcgi || fail 'the service runs'
		[ "$(stat -c '%a %U:%G' /etc/assistants-fcgi.conf)" = '640 root:assistants-fcgi' ] ||
			fail 'the settings can be read by root and the service'
		"$PROGRAM" --check-config >/tmp/checked || fail "--check-config: $(cat /tmp/checked)"
		grep -q 'configuration: ok, from /etc/assistants-fcgi.conf' /tmp/checked ||
			fail "--check-config reads the same file: $(cat /tmp/checked)"
		grep -q the-model /tmp/checked || fail 'and the same model'
		# The service has read the same setting.
		ask GET /metrics | grep -q '^assistants_workers_busy' || fail 'the service reads the file'
		key=$("$PROGRAM" --make-key alice 2>/dev/null) || fail '--make-key makes a key'
		ask POST /v1/threads '{"metadata":{"of":"alice"}}' | grep -q '"id":"thread_' ||
			fail 'the service takes the key'
		"$PROGRAM" --export 2>/dev/null | grep -q '"of":"alice"' || fail '--export has the thread'
		"$PROGRAM" --check-config | grep -q '1 thread' || fail '--check-config counts it'
		[ -z "$(find /var/lib/assistants-fcgi ! -user assistants-fcgi)" ] ||
			fail 'all in the state folder is the service'"'"'s'
		systemctl restart assistants-fcgi && ask GET /health | grep -q ok || fail 'it starts anew'
	END
	cat >"$root/etc/systemd/system/probe.service" <<-END
		[Unit]
		After=assistants-fcgi.service
		SuccessAction=poweroff
		FailureAction=poweroff
		[Service]
		Type=exec
		Environment=PROGRAM=$program
		ExecStart=/bin/sh -c 'sh /probe.sh >/out 2>&1 && echo ok >>/out; journalctl -b -u assistants-fcgi >/journal'
		RuntimeMaxSec=$limit_s
		[Install]
		WantedBy=multi-user.target
	END
	chroot "$root" systemctl --quiet enable probe.service
}

# In a new control group: --keep-unit would leave processes behind in the machine's.
boot() {
	groups=
	for at in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
		[ ! -e "$at/cgroup.procs" ] || groups="$groups $at/assistants-soak-$$"
	done
	for group in $groups; do mkdir "$group"; done
	(
		for group in $groups; do echo 0 >"$group/cgroup.procs"; done
		exec timeout --kill-after=10 $((limit_s + 30)) systemd-nspawn --quiet --boot --register=no \
			--keep-unit --private-network --directory="$root" --machine="assistants-soak-$$" \
			--console=pipe --resolv-conf=off --timezone=off --link-journal=no \
			--kill-signal=SIGRTMIN+3 </dev/null >"$log" 2>&1
	) || true
	for group in $groups; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
}

command -v systemd-nspawn >/dev/null || tools/apt-install.sh systemd-container
make_debian "$root" "$(this_codename)" "$packages"
umount "$root/proc"
install_program
write_probe
boot
[ -e "$root/out" ] || { tail -n 30 "$log"; fail "it did not boot"; }
[ "$(cat "$root/out")" = ok ] || { cat "$root/out" "$root/journal"; fail "root and the service disagree"; }
echo "systemd: root's commands see what the booted service sees"
