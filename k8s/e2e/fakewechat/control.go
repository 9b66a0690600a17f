package main

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// maxBody is the largest body of the control routes, in bytes.
const maxBody = 64 << 10

// control serves the suite and the readers, beside WeChat's own routes. Tokens and
// AppSecrets are in bodies, never in URLs, which the API server logs.
//
//	GET  /counts                            → [counts]
//	POST /account {"appid":…,"secret":…}    adds an account, or changes its AppSecret
//	POST /expires_in {"seconds":60}         the lifetime of new tokens; a superseded one is valid for half of it
//	POST /fail {"errcode":40164}            refuses every request; 0 ends that
//	POST /external {"appid":…}              fetches a token as another program does: after the second time the sidecars' one is invalid
//	POST /accepts {"token":…}               → {"errcode":0}: WeChat's answer to this token
//	POST /report, a reader's [books]
type control struct {
	fake *wechattest.Server

	mu      sync.Mutex // guards readers
	readers map[string]books
}

// counts has the fake's counters.
type counts struct {
	Requests int              `json:"requests"` // credential requests that arrived
	Stable   int              `json:"stable"`   // those of stable_token among them
	Refused  int              `json:"refused"`  // those without a token yet
	Issues   int              `json:"issues"`   // new tokens, without external ones
	External int              `json:"external"` // external tokens
	Issued   []issue          `json:"issued"`   // each new token, in order
	Readers  map[string]books `json:"readers"`  // by the reader's name
}

type issue struct {
	At          time.Time `json:"at"`
	AppID       string    `json:"appid"`
	API         string    `json:"api"` // token or stable_token
	Fingerprint string    `json:"fingerprint"`
}

func newControl(fake *wechattest.Server) http.Handler {
	c := &control{fake: fake, readers: map[string]books{}}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) { answer(w, c.counts()) })
	routes.HandleFunc("POST /account", taking(func(a struct {
		AppID  string `json:"appid"`
		Secret string `json:"secret"`
	},
	) any {
		fake.AddAccount(a.AppID, a.Secret)
		return struct{}{}
	}))
	routes.HandleFunc("POST /expires_in", taking(func(life struct {
		Seconds int `json:"seconds"`
	},
	) any {
		d := time.Duration(life.Seconds) * time.Second
		fake.SetExpiresIn(d)
		fake.SetGrace(min(5*time.Minute, d/2)) // with the whole lifetime, stable_token would change at every request
		return struct{}{}
	}))
	routes.HandleFunc("POST /fail", taking(func(fault struct {
		Errcode int `json:"errcode"`
	},
	) any {
		fake.FailAll(fault.Errcode)
		return struct{}{}
	}))
	routes.HandleFunc("POST /external", taking(func(a struct {
		AppID string `json:"appid"`
	},
	) any {
		fake.FetchExternally(a.AppID)
		return struct{}{}
	}))
	routes.HandleFunc("POST /accepts", taking(func(a struct {
		Token string `json:"token"`
	},
	) any {
		return verdict{fake.Accepts(a.Token)}
	}))
	routes.HandleFunc("POST /report", taking(func(b books) any {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.readers[b.Name] = b
		return struct{}{}
	}))
	return routes
}

// verdict is the answer of /accepts.
type verdict struct {
	Errcode int `json:"errcode"`
}

func (c *control) counts() counts {
	all := counts{
		Requests: c.fake.Requests("", ""), Stable: c.fake.Requests("", "stable_token"), Issues: c.fake.Issues(""), Readers: map[string]books{},
	}
	answered := 0
	for _, i := range c.fake.Issued() {
		if i.External {
			all.External++
			continue
		}
		answered++
		if i.New {
			all.Issued = append(all.Issued, issue{i.At, i.AppID, i.API, memcache.Fingerprint(i.Token)})
		}
	}
	all.Refused = all.Requests - answered
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, b := range c.readers {
		all.Readers[name] = b
	}
	return all
}

// taking returns a route that reads and answers JSON. It quotes no unreadable body.
func taking[T any](do func(T) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		decoder.DisallowUnknownFields()
		if decoder.Decode(&body) != nil {
			http.Error(w, "not the JSON that this route takes", http.StatusBadRequest)
			return
		}
		answer(w, do(body))
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
