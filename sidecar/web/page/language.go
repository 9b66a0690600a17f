package page

import (
	"net/http"
	"strconv"
	"strings"
)

// languages are the page's, by the tag that asks for them.
var languages = map[string]*words{"en": english, "zh": chinese}

// languageOf returns the language that ?lang= names, else the browser's preferred one,
// else English.
func languageOf(r *http.Request) *words {
	if named, ok := languages[r.URL.Query().Get("lang")]; ok {
		return named
	}
	return preferred(strings.Join(r.Header["Accept-Language"], ","))
}

// preferred reads an Accept-Language header, such as "zh-CN,zh;q=0.9,en;q=0.8". Of two
// equal ones it returns the first.
func preferred(header string) *words {
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

// qualityOf returns a range's q, from 0 to 1. It is 0 if it cannot be read.
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
