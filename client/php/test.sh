#!/usr/bin/env bash
# Checks and tests the PHP client: `client/php/test.sh [PHPUNIT'S ARGUMENTS]`; `client/php/test.sh bench` measures it.
# Requires Go, memcached, and Debian's php-cli, php-memcached, php-memcache, php-curl, php-xml, php-mbstring, php-apcu,
# php-symfony-http-client, php-guzzlehttp-psr7, phpunit and php-codesniffer.
#
# The tests run three times in parallel, because they mostly wait: with curl, with curl and APCu, and with neither. Each
# run starts its own memcached servers, sidecar and fake WeChat on free ports. All end with this script.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

missing=()
for program in go memcached php phpunit phpcs; do command -v $program >/dev/null || missing+=("$program"); done
modules=$(php -m 2>/dev/null)
for extension in memcached memcache curl apcu pcntl posix; do
	grep -qix $extension <<<"$modules" || missing+=("php's extension $extension")
done
for library in Symfony/Component/HttpClient GuzzleHttp/Psr7; do
	php -r "exit(stream_resolve_include_path('$library/autoload.php') === false ? 1 : 0);" || missing+=("$library")
done
[ ${#missing[@]} = 0 ] || { printf 'missing: %s\n' "${missing[@]}"; exit 1; }

tmp=$(mktemp -d)
jobs=()
# Each job is a process group. Its end also ends the servers that the tests started.
begin() { set -m; "$@" </dev/null & jobs+=($!); set +m; }
end_jobs() { for job in "${jobs[@]}"; do kill -KILL -- "-$job" 2>/dev/null; done; jobs=(); }
trap 'end_jobs; rm -rf "$tmp"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
run() {
	local status
	begin "$@"
	wait "${jobs[0]}"
	status=$?
	end_jobs
	return $status
}

if [ "${1-}" = bench ]; then
	mkdir "$tmp/bench"
	WXSIDECAR_TMP=$tmp/bench run php -d apc.enable_cli=0 bench.php
	exit
fi

failed=0
fail() { echo "FAILED: $1"; failed=1; }

run go build -o "$tmp/sidecar" ../../sidecar || fail 'build of the sidecar'
run go build -o "$tmp/fakewechat" ./tests/fakewechat || fail 'build of the fake WeChat'

mapfile -t files < <(find . -name '*.php' | sort)
for file in "${files[@]}"; do php -l "$file" >/dev/null || fail "php -l $file"; done
run phpcs --standard=PSR12 "${files[@]}" || fail 'PSR-12'

# tests NAME PHP'S ARGUMENTS... -- starts PHPUnit; the folder NAME has its output.
names=()
tests() {
	local folder=$tmp/$1
	names+=("$1")
	shift
	mkdir "$folder"
	WXSIDECAR_TMP=$folder WXSIDECAR_BINARY=$tmp/sidecar WXSIDECAR_FAKEWECHAT=$tmp/fakewechat begin php \
		-d error_reporting=-1 -d zend.exception_ignore_args=0 -d memory_limit=128M \
		-d curl.cainfo="$folder/ca.pem" -d openssl.cafile="$folder/ca.pem" "$@" >"$folder/output" 2>&1
}
phpunit=$(command -v phpunit)
if [ $failed = 0 ]; then
	tests curl -d apc.enable_cli=0 "$phpunit" "$@"
	tests apcu -d apc.enable_cli=1 "$phpunit" "$@"
	tests streams -d apc.enable_cli=0 -d disable_functions=curl_init "$phpunit" "$@"
	for i in "${!names[@]}"; do
		wait "${jobs[i]}"
		status=$?
		printf '\n== %s\n' "${names[i]}"
		cat "$tmp/${names[i]}/output"
		[ $status = 0 ] || fail "the tests: ${names[i]}"
	done
	end_jobs
fi
[ $failed = 0 ] && echo 'php: all passed'
exit $failed
