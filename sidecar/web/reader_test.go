package web_test

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web"
)

const readers = "canarysecret-reader-0123456789"

// withReaders is the API with a bearer token, and one that may only read.
func (h *testSidecar) withReaders(t *testing.T, compat bool) (api http.Handler, readerFile string) {
	t.Helper()
	readerFile = filepath.Join(t.TempDir(), "readers")
	require.NoError(t, os.WriteFile(readerFile, []byte(readers+"\n"), 0o600))
	api, err := web.NewAPI(web.APIConfig{
		Group: h.group, BearerFile: withBearer(t), ReaderFile: readerFile, Compat: compat, Metrics: h.metrics,
		Log: slog.New(slog.NewTextHandler(h.log, nil)),
	})
	require.NoError(t, err)
	return api, readerFile
}

func as(token string) []string { return []string{"Authorization: Bearer " + token} }

// A reader gets tokens, and no renewal: 403 comes before the body is read. All others may
// do both.
func TestReader_ReadsAndNothingElse(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	api, _ := h.withReaders(t, false)
	dial := serve(t, api, "127.0.0.1:0")
	assert.Equal(t, 200, ask{target: tokenPath, header: as(readers), host: "wxsidecar"}.over(t, dial).status)
	report := ask{method: "POST", target: tokenPath + "/refresh", header: as(readers), body: `{"rejected":"canarytoken-0000000000"}`}
	golden(t, "reader", report.over(t, dial).String())
	empty := report
	empty.body = ""
	assert.Equal(t, 403, empty.over(t, dial).status)
	assert.Equal(t, 1, h.wechat.Requests("", ""), "no renewal")

	assert.Equal(t, 401, ask{target: tokenPath}.over(t, dial).status)
	assert.Equal(t, 401, ask{target: tokenPath, header: as(readers + "x")}.over(t, dial).status)
	report.header = as(bearer)
	assert.Equal(t, 200, report.over(t, dial).status)
}

// WeChat's own routes only read, so readers can use them.
func TestReader_Compat(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	api, _ := h.withReaders(t, true)
	dial := serve(t, api, "127.0.0.1:0")
	token(t, classic(appID+"&secret="+readers).over(t, dial))
	token(t, classic(appID+"&secret="+bearer).over(t, dial))
	assert.Contains(t, classic(appID+"&secret=canarysecret-of-another").over(t, dial).body, `"errcode":40125`)
}

// A token that is in both files by now counts as a reader's. A file that is unusable keeps
// its last tokens.
func TestReader_FileChanges(t *testing.T) {
	h := newTestSidecar(t, nil, appID)
	api, file := h.withReaders(t, false)
	dial := serve(t, api, "127.0.0.1:0")
	report := ask{method: "POST", target: tokenPath + "/refresh", header: as(bearer), body: `{"rejected":"canarytoken-0000000000"}`}
	assert.Equal(t, 200, report.over(t, dial).status)
	require.NoError(t, os.WriteFile(file, []byte(readers+"\n"+bearer), 0o600))
	assert.Equal(t, 403, report.over(t, dial).status)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.Equal(t, 403, report.over(t, dial).status)
	assert.Contains(t, h.log.String(), "SIDECAR_READER_TOKEN_FILE")
}
