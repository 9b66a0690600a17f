// Package quiet holds the standard library's logger back while the packages of
// other people are initialized. github.com/VictoriaMetrics/metrics writes a line
// there, on nodes whose kernel has no pressure-stall information, that is no JSON
// and tells an operator nothing he could act upon; it comes before main could
// prevent it.
//
// Go initializes packages in the order of their import paths, each once all that
// it imports is ready. This one needs io and log alone, the library net/http too:
// so this one comes first. Package web lets the logger speak again.
package quiet

import (
	"io"
	"log"
)

func init() { log.SetOutput(io.Discard) }
