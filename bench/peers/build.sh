#!/usr/bin/env bash
# Builds the peers that are Go programs, each from its own module, and installs
# those that Debian has. One that cannot be had is left out of the benchmark.
#
#   bench/peers/build.sh OUTPUT
set -euo pipefail
out=$(mkdir -p "${1:?the directory to build into}" && cd "$1" && pwd)
cd "$(dirname "$0")"

build() { # directory, package
	[ -x "$out/$1" ] && return
	(cd "$1" && nice -n 5 go build -trimpath -ldflags=-w -o "$out/$1" "$2") || echo "could not build $1: it is left out" >&2
}

if ! command -v nginx >/dev/null && [ ! -x /usr/sbin/nginx ]; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		# No service is to be started: the benchmark starts its own.
		made=
		if [ ! -e /usr/sbin/policy-rc.d ]; then
			printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && made=1
		fi
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends nginx-light; } >/dev/null ||
			echo "could not install nginx: it is left out" >&2
		[ -z "$made" ] || rm -f /usr/sbin/policy-rc.d
	fi
fi
build oathkeeper github.com/ory/oathkeeper
build oauth2-proxy github.com/oauth2-proxy/oauth2-proxy/v7
