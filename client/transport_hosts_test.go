package client_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// hostsTable is testdata/hosts.json, which tests the PHP client too.
type hostsTable struct {
	WeChatHosts []string `json:"wechat_hosts"`
	URLs        []struct {
		URL   string
		Token bool
	}
	Entries []struct {
		Entry string
		Valid bool
	}
}

func readHostsTable(t *testing.T) hostsTable {
	t.Helper()
	content, err := os.ReadFile("testdata/hosts.json")
	require.NoError(t, err)
	var table hostsTable
	require.NoError(t, json.Unmarshal(content, &table))
	require.NotEmpty(t, table.URLs)
	require.NotEmpty(t, table.Entries)
	return table
}

// Only requests to WeChat's hosts without another credential get the token, and only
// these are reported.
func TestHTTPClient_Hosts(t *testing.T) {
	table := readHostsTable(t)
	f := setup(t, func(cfg *client.Config) { cfg.WeChatHosts = table.WeChatHosts })
	for _, row := range table.URLs {
		u, err := url.Parse(row.URL)
		if err != nil {
			assert.False(t, row.Token, row.URL)
			continue
		}
		want := 0
		if row.Token {
			want = 1
		}
		var sent []*url.URL
		rt := f.HTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.URL)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
		})}).Transport
		resp, err := rt.RoundTrip((&http.Request{Method: http.MethodGet, URL: u}).WithContext(t.Context()))
		require.NoError(t, err, row.URL)
		require.NoError(t, resp.Body.Close())
		require.Len(t, sent, 1)
		assert.Equal(t, want, strings.Count(sent[0].RawQuery, "access_token="+t1), row.URL)
		assert.True(t, strings.HasPrefix(sent[0].RawQuery, u.RawQuery), row.URL)
		assert.False(t, row.Token && u.Scheme == "http" && strings.Contains(sent[0].Host, "LOCALHOST"), "goes through HTTP_PROXY")
		if !row.Token {
			assert.Equal(t, u.RawQuery, sent[0].RawQuery, row.URL)
		}
	}
}

// A 40001 that is not about the account's token leads to no report.
func TestHTTPClient_OtherCredential(t *testing.T) {
	f := setup(t)
	hc, n := f.browse(t, map[string]http.HandlerFunc{"api.weixin.qq.com": wechat(t2, "40001")})
	for _, path := range []string{"/x?component_access_token=c", "/x?authorizer_access_token=c", "/x?cloudbase_access_token=c", "/x?access_token=c", "/sns/userinfo"} {
		resp, err := hc.Get(api + path)
		assert.Contains(t, read(t, resp, err), "40001")
	}
	assert.Len(t, n.log(), 5)
	assert.Zero(t, f.sidecar.asked())
}

// Config.WeChatHosts has hosts, with or without a port, and nothing else.
func TestNew_WeChatHosts(t *testing.T) {
	for _, row := range readHostsTable(t).Entries {
		_, err := client.New(client.Config{AppID: "wx1", WeChatHosts: []string{row.Entry}})
		if row.Valid {
			assert.NoError(t, err, row.Entry)
		} else {
			assert.ErrorContains(t, err, "WeChatHosts: ", row.Entry)
		}
	}
}
