package main

import (
	"fmt"
	"regexp"
	"strconv"

	"gonum.org/v1/plot/vg"
)

// word is a text of the chart in Chinese, and where it is held when its width
// changes, in shares of its width.
type word struct {
	english *regexp.Regexp // the whole of it
	chinese string
	hold    float64 // 0: by its left end; 1: by its right
}

var words = []word{
	{regexp.MustCompile(`^Calls to WeChat, with (.*) pods of (\d+) workers \(the bar: (\d+) pods\)$`), "调用微信的次数：$1 个 Pod，每个 $2 个 worker（条形为 $3 个 Pod）", 0},
	{regexp.MustCompile(`^Of all that the workers of (\d+) pods asked for$`), "$1 个 Pod 的全部取用：拿到失效 token 与出错的占比", 0},
	{regexp.MustCompile(`^peers$`), "其他", 0},
	{regexp.MustCompile(`^a dead token$`), "失效 token", 0},
	{regexp.MustCompile(`^an error$`), "错误", 0},
	{regexp.MustCompile(`^cold start$`), "冷启动", 0.5},
	{regexp.MustCompile(`^one renewal$`), "一次续期", 0.5},
	{regexp.MustCompile(`^a rejected token$`), "token 被拒", 0.5},
	{regexp.MustCompile(`^memcached restarted$`), "memcached 重启", 0.5},
	{regexp.MustCompile(`^memcached down$`), "memcached 宕机", 0.5},
	{regexp.MustCompile(`^PHP class \(rebuilt\)$`), "PHP 类（仿写）", 1},
	{regexp.MustCompile(`^bare stable_token$`), "直接用 stable_token", 1},
	{regexp.MustCompile(`^(silenceper/wechat), (UseStableAK)$`), "$1，$2", 1},
	{regexp.MustCompile(`^(wxsidecar), (token|stable_token)$`), "$1，$2", 1},
}

var anchors = map[float64]string{0: "start", 0.5: "middle", 1: "end"}

// textElement is a text as vgsvg writes it: place, transformation, style, words.
var textElement = regexp.MustCompile(`(?s)<text x="([0-9.]+)"([^>]*style="[^"]*font-family:[^;]+)([^"]*font-weight:(\w+)[^"]*font-size:([0-9.]+)px[^"]*)"(\s*)>([^<]*)</text>`)

// inChinese is a chart with its words in Chinese. The reader's browser has the
// font; how wide it is nobody knows here, so a word is held by its anchor.
func inChinese(svg []byte) []byte {
	return textElement.ReplaceAllFunc(svg, func(element []byte) []byte {
		part := textElement.FindSubmatch(element)
		x, style, text := string(part[1]), string(part[3]), string(part[7])
		for _, w := range words {
			if !w.english.MatchString(text) {
				continue
			}
			left, _ := strconv.ParseFloat(x, 64) // both are numbers by the pattern
			size, _ := strconv.ParseFloat(string(part[5]), 64)
			font := textStyle(vg.Length(size))
			if string(part[4]) == "bold" {
				font.Font.Weight = bold
			}
			x = strconv.FormatFloat(left+w.hold*float64(font.Width(text)), 'f', 2, 64) + `" text-anchor="` + anchors[w.hold]
			text = w.english.ReplaceAllString(text, w.chinese)
			break
		}
		return fmt.Appendf(nil, `<text x="%s"%s,PingFang SC,Microsoft YaHei,Noto Sans CJK SC%s">%s</text>`, x, part[2], style, text)
	})
}
