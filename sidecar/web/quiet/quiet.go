// Package quiet silences the standard logger while other packages initialize.
// github.com/VictoriaMetrics/metrics logs a line there on nodes whose kernel has no
// pressure-stall information. The line is not JSON, does not help an operator, and comes
// before main can prevent it.
//
// Go initializes packages in the order of their import paths, once their imports are
// ready. This package imports io and log alone, and the library net/http too, so this
// one is first. Package web restores the logger.
package quiet

import (
	"io"
	"log"
)

func init() { log.SetOutput(io.Discard) }
