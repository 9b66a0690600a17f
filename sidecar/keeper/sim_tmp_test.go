package keeper_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
)

func tmpAPI(g *keeper.Group) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 12*time.Second)
		defer cancel()
		appid := strings.Split(r.URL.Path, "/")[2]
		var grant keeper.Grant
		var err error
		if strings.HasSuffix(r.URL.Path, "/refresh") {
			var b struct{ Rejected string }
			_ = json.NewDecoder(r.Body).Decode(&b)
			grant, err = g.Refresh(ctx, appid, "access_token", b.Rejected)
		} else {
			grant, err = g.Token(ctx, appid, "access_token")
		}
		if err != nil {
			var e *keeper.Error
			errors.As(err, &e)
			w.WriteHeader(503)
			_ = json.NewEncoder(w).Encode(map[string]any{"errcode": e.Code, "errmsg": e.Message})
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": grant.Value, "expires_in": int(grant.ExpiresIn.Seconds())})
	}), nil
}
