module github.com/wxsidecar/wxsidecar/bench

go 1.26.0

require (
	github.com/bradfitz/gomemcache v0.0.0-20260422231931-4d751bb6e37c
	github.com/stretchr/testify v1.12.1
	github.com/wxsidecar/wxsidecar v0.0.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/wxsidecar/wxsidecar => ../
