#!/bin/sh
# Makes the README's pictures of the status page from `sidecar demo`: docs/screenshots.sh bin/sidecar docs
# Needs chromium, pngquant, optipng, and the fonts Inter and Noto Sans CJK (Debian: fonts-inter fonts-noto-cjk).
set -eu
sidecar=$1 out=$2
tmp=$(mktemp -d)
mkfifo "$tmp/demo"
"$sidecar" demo >"$tmp/demo" &
demo=$!
trap 'kill -INT $demo; wait $demo || true; rm -rf "$tmp"' EXIT

# What people have as their system's font differs; the pictures should not.
cat >"$tmp/fonts.conf" <<'XML'
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><include>/etc/fonts/fonts.conf</include>
<match target="pattern"><test name="family" qual="any"><string>sans-serif</string></test>
<edit name="family" mode="prepend_first" binding="strong"><string>Inter</string></edit></match>
<selectfont><rejectfont><pattern><patelt name="family"><string>DejaVu Sans</string></patelt></pattern></rejectfont></selectfont>
</fontconfig>
XML
export FONTCONFIG_FILE="$tmp/fonts.conf"

# The demo's lines, up to the token's first renewal ahead of time: then there is something to see. cat reads the rest,
# so that the demo goes on.
exec 3<"$tmp/demo"
url=
while read -r line <&3; do
	case $line in
	'sidecar a '*'status page: '*) url=${line##*status page: } ;;
	*'request 2 of all sidecars'*) break ;;
	esac
done
cat <&3 >/dev/null &

# shot NAME WIDTH,HEIGHT QUERY [FLAG...]
shot() {
	name=$1 size=$2 query=$3
	shift 3
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
		--user-data-dir="$tmp/profile" --window-size="$size" "$@" --screenshot="$tmp/$name.png" "$url$query" 2>/dev/null
	pngquant --force --output "$out/$name.png" "$tmp/$name.png"
	optipng -quiet "$out/$name.png"
	echo "$out/$name.png: $(wc -c <"$out/$name.png" | tr -d ' ') bytes"
}
shot status-light 1040,1090 ''
shot status-dark 1040,1090 '' --blink-settings=preferredColorScheme=0
shot status-phone 390,1400 ''
shot status-zh 1040,1090 '' --lang=zh-CN --accept-lang=zh-CN,zh
