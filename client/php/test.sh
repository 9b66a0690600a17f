#!/usr/bin/env bash
# All that a change to the PHP client must pass: `client/php/test.sh [PHPUNIT'S ARGUMENTS]`; `client/php/test.sh bench`
# measures instead. Needs Go, memcached, and of Debian's packages php-cli, php-memcached, php-memcache, php-curl, php-xml,
# php-mbstring, php-apcu, phpunit and php-codesniffer.
#
# The tests run three times: as most apps do, with APCu, and with neither APCu nor curl. They start real memcacheds, a
# real sidecar and a fake WeChat, all of which end with this script, whatever way it ends.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

missing=()
for program in go memcached php phpunit phpcs; do command -v $program >/dev/null || missing+=("$program"); done
modules=$(php -m 2>/dev/null)
for extension in memcached memcache curl apcu pcntl posix; do
	grep -qix $extension <<<"$modules" || missing+=("php's extension $extension")
done
[ ${#missing[@]} = 0 ] || { printf 'missing: %s\n' "${missing[@]}"; exit 1; }

tmp=$(mktemp -d)
job=
# Each job is a process group of its own: what is left of it, servers that the tests started included, ends with it.
end_job() { [ -z "$job" ] || kill -KILL -- "-$job" 2>/dev/null; job=; }
trap 'end_job; rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
run() {
	local status
	set -m
	"$@" </dev/null &
	job=$!
	set +m
	wait "$job"
	status=$?
	end_job
	return $status
}

if [ "${1-}" = bench ]; then
	WXSIDECAR_TMP=$tmp run php -d apc.enable_cli=0 bench.php
	exit
fi

failed=0
fail() { echo "FAILED: $1"; failed=1; }

run go build -o "$tmp/sidecar" ../../sidecar || fail 'build of the sidecar'
run go build -o "$tmp/world" ./tests/world || fail 'build of the fake WeChat'

mapfile -t files < <(find . -name '*.php' | sort)
for file in "${files[@]}"; do php -l "$file" >/dev/null || fail "php -l $file"; done
run phpcs --standard=PSR12 "${files[@]}" || fail 'PSR-12'

# tests NAME PHP'S ARGUMENTS... -- PHPUNIT'S ARGUMENTS...
tests() {
	local name=$1
	shift
	printf '\n== %s\n' "$name"
	mkdir "$tmp/$name"
	WXSIDECAR_TMP=$tmp/$name WXSIDECAR_BINARY=$tmp/sidecar WXSIDECAR_WORLD=$tmp/world run php \
		-d error_reporting=-1 -d zend.exception_ignore_args=0 -d memory_limit=128M \
		-d curl.cainfo="$tmp/$name/ca.pem" -d openssl.cafile="$tmp/$name/ca.pem" "$@" || fail "the tests: $name"
}
phpunit=$(command -v phpunit)
if [ $failed = 0 ]; then
	tests curl -d apc.enable_cli=0 "$phpunit" "$@"
	tests apcu -d apc.enable_cli=1 "$phpunit" "$@"
	tests streams -d apc.enable_cli=0 -d disable_functions=curl_init "$phpunit" "$@"
fi
[ $failed = 0 ] && echo 'php: all passed'
exit $failed
