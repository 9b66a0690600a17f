package status_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/sidecar/web/status"
)

func TestSpan_RoundsToUnits(t *testing.T) {
	for _, c := range []struct {
		d      time.Duration
		en, zh string
	}{
		{0, "0 s", "0 秒"},
		{499 * time.Millisecond, "0 s", "0 秒"},
		{1500 * time.Millisecond, "2 s", "2 秒"},
		{42 * time.Second, "42 s", "42 秒"},
		{59*time.Second + 600*time.Millisecond, "1 min", "1 分钟"},
		{54*time.Minute + 59*time.Second, "54 min", "54 分钟"},
		{time.Hour, "1 h", "1 小时"},
		{72 * time.Minute, "1 h 12 min", "1 小时 12 分钟"},
		{51*time.Hour + 59*time.Minute, "2 d 3 h", "2 天 3 小时"},
		{48 * time.Hour, "2 d", "2 天"},
		{-90 * time.Second, "1 min", "1 分钟"},
	} {
		assert.Equal(t, c.en, status.Span(c.d))
		assert.Equal(t, c.zh, status.Units{"天", "小时", "分钟", "秒"}.Span(c.d))
	}
}
