package web_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// /readyz names a failing mirror, and stays 200.
func TestReadyz_FailingMirror(t *testing.T) {
	t.Parallel()
	const says = "mirror mysql has failed for 4 min: access_token of wx0healthy: dial tcp 10.0.0.8:3306: connect: connection refused; and 1 more; " +
		"check that the database runs, the address in MIRROR_MYSQL_DSN, and the NetworkPolicy\n"
	well := probe(fixedOps(t, fixedStates()[:1], noOutage), "GET", "/readyz")
	assert.Equal(t, 200, well.status)
	assert.Contains(t, well.body, "ok\n"+says)
	unavailable := probe(fixedOps(t, fixedStates(), noOutage), "GET", "/readyz")
	assert.Equal(t, 503, unavailable.status)
	assert.Contains(t, unavailable.body, "\n"+says, "after the reasons for 503")
	assert.Equal(t, 200, statusCode(fixedOps(t, fixedStates()[:1], noOutage), "/startupz"))
}
