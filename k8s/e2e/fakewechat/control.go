package main

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat/wechattest"
)

// maxBody bounds what the control routes read, in bytes.
const maxBody = 64 << 10

// control is what the suite and the readers ask of the fake beside WeChat's own
// routes. Tokens and AppSecrets come in bodies, never in a URL: URLs are logged
// by whatever stands between, the API server among them.
//
//	GET  /counts                            → [counts]
//	POST /account {"appid":…,"secret":…}    adds an account, or changes its AppSecret
//	POST /expires_in {"seconds":60}         the life of the tokens issued from now on; a superseded one works for half of it
//	POST /fail {"errcode":40164}            refuses every call; 0 ends that
//	POST /accepts {"token":…}               → {"errcode":0}: what an API of WeChat would answer
//	POST /report, a reader's [books]
type control struct {
	fake *wechattest.Server

	mu      sync.Mutex // guards readers
	readers map[string]books
}

// counts is what happened so far.
type counts struct {
	Calls    int              `json:"calls"`    // credential calls that arrived
	Stable   int              `json:"stable"`   // those of stable_token among them
	Refused  int              `json:"refused"`  // those that brought no token, or not yet
	Issues   int              `json:"issues"`   // new tokens, without external ones
	External int              `json:"external"` // external tokens
	Issued   []issue          `json:"issued"`   // each new token, in order
	Readers  map[string]books `json:"readers"`  // by the name that a reader gives itself
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
		fake.SetGrace(min(5*time.Minute, d/2)) // as long as the life, and stable_token would change at every call
		return struct{}{}
	}))
	routes.HandleFunc("POST /fail", taking(func(fault struct {
		Errcode int `json:"errcode"`
	},
	) any {
		fake.FailAll(fault.Errcode)
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
		Calls: c.fake.Calls("", ""), Stable: c.fake.Calls("", "stable_token"), Issues: c.fake.Issues(""), Readers: map[string]books{},
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
	all.Refused = all.Calls - answered
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, b := range c.readers {
		all.Readers[name] = b
	}
	return all
}

// taking is a route that reads a JSON body and answers with JSON. What it cannot
// read it does not quote.
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
