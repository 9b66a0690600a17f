package wechat_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// Each errcode has its class.
func TestClass_OfEachErrcode(t *testing.T) {
	const ip = wechattest.EgressIP
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	tested := map[int]bool{}
	for _, tt := range []struct {
		code  int
		class wechat.Class
		wait  time.Duration
		ip    string
	}{
		{code: -1, class: wechat.Transient},
		{code: -1000, class: wechat.Transient},
		{code: 40001, class: wechat.Person},
		{code: 40002, class: wechat.Defect},
		{code: 40013, class: wechat.Person},
		{code: 40014, class: wechat.Person},
		{code: 40125, class: wechat.Person},
		{code: 40164, class: wechat.Person, ip: ip},
		{code: 40243, class: wechat.Person},
		{code: 41001, class: wechat.Person},
		{code: 41002, class: wechat.Defect},
		{code: 41004, class: wechat.Defect},
		{code: 42001, class: wechat.Person},
		{code: 43001, class: wechat.Defect},
		{code: 43002, class: wechat.Defect},
		{code: 45009, class: wechat.Day},
		{code: 45011, class: wechat.Minute},
		{code: 47001, class: wechat.Defect},
		{code: 48001, class: wechat.Person},
		{code: 48006, class: wechat.Person},
		{code: 50004, class: wechat.Person},
		{code: 50007, class: wechat.Person},
		{code: 61004, class: wechat.Person, ip: ip},
		{code: 89501, class: wechat.Person},
		{code: 89503, class: wechat.Person},
		{code: 89506, class: wechat.Timed, wait: 24 * time.Hour},
		{code: 89507, class: wechat.Timed, wait: time.Hour},
		{code: 99999, class: wechat.Person},
	} {
		tested[tt.code] = true
		fake.FailAll(tt.code)
		e := failure(t.Context(), t, c, request(wechat.Token))
		assert.Equal(t, tt.code, e.Code)
		assert.Equal(t, tt.class, e.Class, "class of %d", tt.code)
		assert.Equal(t, tt.wait, e.Wait, "wait of %d", tt.code)
		assert.Equal(t, tt.ip, e.EgressIP, "address of %d", tt.code)
		assert.False(t, e.MayHaveIssued, "%d is an answer", tt.code)
		assert.Contains(t, e.Message, "rid: ", "of %d", tt.code)
		if wechat.Documented(tt.code) {
			assert.NotRegexp(t, "^error ", e.Message, "add WeChat's text of %d to wechattest/errmsg.go", tt.code)
		}
		if tt.code == 40014 || tt.code == 41001 || tt.code == 42001 {
			assert.Contains(t, e.Hint.English, "WECHAT_BASE_URL", "%d: no token was sent", tt.code)
		}
		if tt.ip != "" {
			assert.Contains(t, e.Hint.English, tt.ip)
		}
	}
	assert.Zero(t, fake.Issues(""))
	for code := -1000; code < 100_000; code++ {
		assert.False(t, wechat.Documented(code) && !tested[code], "add errcode %d and its class to the table above", code)
	}
}

// Both operations pages have a row for each errcode, so that a failing account's link leads to it.
func TestDocumented_OnBothPages(t *testing.T) {
	for path, heading := range map[string]string{
		"docs/operations.md": "\n## Errcodes from WeChat\n", "docs/zh/operations.md": "\n## 微信返回给 sidecar 的 errcode\n",
	} {
		page, err := os.ReadFile("../../" + path)
		require.NoError(t, err)
		_, section, found := strings.Cut(string(page), heading)
		require.True(t, found, "%s: %s", path, heading)
		section, _, _ = strings.Cut(section, "\n## ")
		var codes []string
		for line := range strings.Lines(section) {
			if cells := strings.Split(line, "|"); len(cells) > 1 {
				codes = append(codes, regexp.MustCompile(`-?[0-9]+`).FindAllString(cells[1], -1)...)
			}
		}
		for code := -1000; code < 100_000; code++ {
			assert.False(t, wechat.Documented(code) && !slices.Contains(codes, strconv.Itoa(code)), "add errcode %d to the table in %s", code, path)
		}
	}
}

// The address is found wherever WeChat puts it.
func TestEgressIP_AnyPlace(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	for errmsg, want := range map[string]string{
		"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist": "203.0.113.7",
		"invalid ip ::ffff:203.0.113.7, not in whitelist":                  "203.0.113.7",
		"invalid ip 2001:db8::1, not in whitelist":                         "2001:db8::1",
		"invalid ip fe80::1%evil, not in whitelist":                        "",
		"invalid ip, not in whitelist":                                     "",
	} {
		fake.OnRequest(func(wechattest.Request) wechattest.Answer {
			return wechattest.Answer{Errcode: 40164, Errmsg: errmsg}
		})
		assert.Equal(t, want, failure(t.Context(), t, c, request(wechat.Token)).EgressIP, errmsg)
	}
}

// Classes have names.
func TestClass_Names(t *testing.T) {
	assert.Equal(t, "transient", wechat.Transient.String())
	assert.Equal(t, "defect", wechat.Defect.String())
	assert.Equal(t, "class(99)", wechat.Class(99).String())
}

// A request that makes no sense is not sent.
func TestFetch_BadRequestIsNotSent(t *testing.T) {
	fake, url := newFake(t)
	c := newClient(t, nil, url)
	for name, r := range map[string]wechat.Request{
		"no API":         {AppID: appID, Secret: secret},
		"no AppID":       {API: wechat.Token, Secret: secret},
		"no AppSecret":   {API: wechat.Token, AppID: appID},
		"forced classic": {API: wechat.Token, AppID: appID, Secret: secret, Force: true},
	} {
		e := failure(t.Context(), t, c, r)
		want := wechat.Defect
		if name == "no AppSecret" {
			want = wechat.Person
		}
		assert.Equal(t, want, e.Class, name)
		assert.False(t, e.MayHaveIssued, name)
	}
	assert.Zero(t, fake.Requests("", ""))
}

// Force reaches WeChat.
func TestFetch_Force(t *testing.T) {
	fake, url := newFake(t)
	r := request(wechat.StableToken)
	r.Force = true
	_ = must(newClient(t, nil, url).Fetch(t.Context(), r))(t)
	assert.True(t, fake.Issued()[0].ForceRefresh)
}
