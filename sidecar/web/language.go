package web

import (
	"net/http"
	"strconv"
	"strings"
)

// languages are those that the page speaks, by the tag that asks for them.
var languages = map[string]*words{"en": english, "zh": chinese}

// languageOf chooses: what ?lang= names, else what the browser likes best, else
// English.
func languageOf(r *http.Request) *words {
	if named, ok := languages[r.URL.Query().Get("lang")]; ok {
		return named
	}
	return liked(strings.Join(r.Header["Accept-Language"], ","))
}

// liked reads an Accept-Language header: "zh-CN,zh;q=0.9,en;q=0.8". Of two that
// are liked as much the first goes.
func liked(header string) *words {
	best, most := english, 0.0
	for item := range strings.SplitSeq(header, ",") {
		tag, parameters, _ := strings.Cut(item, ";")
		primary, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		language, ok := languages[primary]
		if quality := qualityOf(parameters); ok && quality > most {
			best, most = language, quality
		}
	}
	return best
}

// qualityOf is a range's q, from 0 to 1; what cannot be read is 0.
func qualityOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || !(q >= 0 && q <= 1) {
			return 0
		}
		return q
	}
	return 1
}
