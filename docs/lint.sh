#!/bin/sh
# Checks the documentation: `make lint-docs`. npm installs the tools of docs/package.json in bin/_docs-lint.
set -eu
cd "$(dirname "$0")/.."
tools=bin/_docs-lint # Go skips folders that begin with _
command -v npm >/dev/null || { echo 'lint-docs: npm is missing: install Node.js 20 or newer'; exit 1; }
if ! cmp -s docs/package-lock.json $tools/installed.json; then
	rm -rf $tools
	mkdir -p $tools
	cp docs/package.json docs/package-lock.json $tools
	npm ci --prefix $tools --no-audit --no-fund --loglevel=error
	mv $tools/package-lock.json $tools/installed.json # only now: an interrupted installation starts again
fi
export NODE_PATH="$PWD/$tools/node_modules" PATH="$PWD/$tools/node_modules/.bin:$PATH"

english='README.md SECURITY.md CONTRIBUTING.md CHANGELOG.md client/php/README.md docs/*.md docs/install/*.md'
chinese='README.zh-CN.md docs/zh/*.md'
failed=
# shellcheck disable=SC2086 # lists of files
markdownlint-cli2 --config docs/.markdownlint-cli2.jsonc $english $chinese || failed=yes
# shellcheck disable=SC2086
textlint --config docs/.textlintrc.json $english || failed=yes
for page in $chinese; do
	zhlint --config docs/.zhlintrc "$page" >$tools/zhlint.log 2>&1 || { cat $tools/zhlint.log; failed=yes; }
done
[ -z "$failed" ] || { echo 'lint-docs: failed'; exit 1; }
