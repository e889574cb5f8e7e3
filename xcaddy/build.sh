#!/usr/bin/env bash
# Builds a Caddy with this module, from the checkout it lies in, the way people
# do who have a Caddy of their own. The versions are pinned: xcaddy's here,
# Caddy's in go.mod.
#
#   xcaddy/build.sh [OUTPUT] [more arguments of `xcaddy build`, such as --with …]
set -euo pipefail

XCADDY=github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5

here=$(cd "$(dirname "$0")/.." && pwd)
module=$(cd "$here" && go list -m)
caddy=$(cd "$here" && go list -m -f '{{.Version}}' github.com/caddyserver/caddy/v2)
out=${1:-$here/bin/caddy}
[ $# -gt 0 ] && shift

mkdir -p "$(dirname "$out")"
out=$(cd "$(dirname "$out")" && pwd)/$(basename "$out")
# Outside the checkout: xcaddy makes a module of its own. A version, though it is
# replaced, keeps go from asking the proxy which ones there are.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
XCADDY_GO_BUILD_FLAGS=${XCADDY_GO_BUILD_FLAGS:--trimpath -tags=nobadger,nomysql,nopgx -ldflags=-w} \
	go run "$XCADDY" build "$caddy" --output "$out" --with "$module@v0.0.0=$here" "$@"
echo "built $out"
