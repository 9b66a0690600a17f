package page

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMarkup_Escapes(t *testing.T) {
	var m markup
	m.leaf("p", "</p><b>&amp; a\u202eb\x1b中文 é\xff", "title", `" onclick="x'&<>`)
	assert.Equal(t, `<p title="&#34; onclick=&#34;x&#39;&amp;&lt;&gt;">&lt;/p&gt;&lt;b&gt;&amp;amp; a`+"\uFFFDb\uFFFD中文 é\uFFFD</p>\n",
		m.out.String())
}

// Every link leads to a section of the documentation.
func TestAnchors_AreSections(t *testing.T) {
	sections := regexp.MustCompile(`(?m)^#+ (.+)$`)
	for _, w := range languages {
		path, ok := strings.CutPrefix(w.docs, repository)
		require.True(t, ok)
		text, err := os.ReadFile("../../../" + path)
		require.NoError(t, err)
		var anchors []string
		for _, heading := range sections.FindAllStringSubmatch(string(text), -1) {
			anchors = append(anchors, "#"+strings.ReplaceAll(strings.ToLower(heading[1]), " ", "-"))
		}
		for _, anchor := range []string{w.anchors.outage, w.anchors.errcodes, w.anchors.notes, w.anchors.mirror} {
			assert.Contains(t, anchors, anchor)
		}
	}
}

func TestHeadline_CountsAccounts(t *testing.T) {
	for _, c := range []struct {
		all, unavailable, failing, starting int
		en, zh                              string
	}{
		{0, 0, 0, 0, "No account is configured", "没有账号"},
		{1, 0, 0, 0, "The account is healthy", "账号正常"},
		{3, 0, 0, 0, "All 3 accounts are healthy", "3 个账号全部正常"},
		{1, 1, 0, 0, "The account is unavailable", "账号异常"},
		{3, 1, 2, 0, "1 of 3 accounts is unavailable", "3 个账号中有 1 个异常"},
		{3, 2, 0, 1, "2 of 3 accounts are unavailable", "3 个账号中有 2 个异常"},
		{3, 3, 0, 0, "All 3 accounts are unavailable", "3 个账号全部异常"},
		{3, 0, 1, 1, "1 of 3 accounts fails to renew", "3 个账号中有 1 个续期失败"},
		{3, 0, 0, 3, "All 3 accounts are starting", "3 个账号全部启动中"},
	} {
		count := tally{c.all, c.unavailable, c.failing, c.starting}
		assert.Equal(t, [2]string{c.en, c.zh}, [2]string{english.headline(count), chinese.headline(count)})
	}
}
