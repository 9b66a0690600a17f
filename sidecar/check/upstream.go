package check

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/wxsidecar/wxsidecar/sidecar/upstream"
	"github.com/wxsidecar/wxsidecar/sidecar/verify"
)

// upstream asks each address for the token of each account. A failure that all accounts share
// shows at each.
func (r *results) upstream(ctx context.Context, client *upstream.Client, accounts []verify.Account) {
	for _, account := range accounts {
		asked := client.Check(ctx, account.AppID)
		for _, host := range slices.Sorted(maps.Keys(asked)) {
			if failed := asked[host]; failed != nil {
				r.failing("upstream "+host, fmt.Sprintf("%s: errcode %d: %s", account.AppID, failed.Code, failed.Message), failed.Hint.English)
			} else {
				r.ok("upstream "+host, "gives the access_token of "+account.AppID)
			}
		}
	}
}
