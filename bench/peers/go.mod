// A module of its own, so that the peers' dependencies, among them Redis clients and
// loggers, reach neither the bench beside it nor wxsidecar.
module github.com/wxsidecar/wxsidecar/bench/peers

go 1.26.0

require (
	github.com/chanxuehong/wechat v0.0.0-20251219080029-3ccc67d5e12d
	github.com/silenceper/wechat/v2 v2.1.13
	github.com/stretchr/testify v1.12.1
	github.com/wxsidecar/wxsidecar v0.0.0
	github.com/wxsidecar/wxsidecar/bench v0.0.0
)

require (
	github.com/bradfitz/gomemcache v0.0.0-20260422231931-4d751bb6e37c // indirect
	github.com/cespare/xxhash/v2 v2.1.2 // indirect
	github.com/dgryski/go-rendezvous v0.0.0-20200823014737-9f7001d12a5f // indirect
	github.com/fatih/structs v1.1.0 // indirect
	github.com/go-redis/redis/v8 v8.11.5 // indirect
	github.com/sirupsen/logrus v1.9.0 // indirect
	github.com/spf13/cast v1.4.1 // indirect
	github.com/tidwall/gjson v1.14.1 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/crypto v0.0.0-20220622213112-05595931fe9d // indirect
	golang.org/x/sys v0.38.0 // indirect
	golang.org/x/text v0.28.0 // indirect
)

replace github.com/wxsidecar/wxsidecar => ../../

replace github.com/wxsidecar/wxsidecar/bench => ../
