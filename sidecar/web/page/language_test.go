package page

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestLanguage_OfTheBrowser(t *testing.T) {
	for header, want := range map[string]string{
		"":                                 "en",
		"*":                                "en",
		"fr":                               "en",
		"zh":                               "zh-Hans",
		"zh-CN":                            "zh-Hans",
		"ZH-hans-cn":                       "zh-Hans",
		"zh-CN,zh;q=0.9,en;q=0.8":          "zh-Hans",
		"en-GB,en;q=0.9,zh-CN;q=0.8":       "en",
		"fr,zh;q=0.5":                      "zh-Hans",
		"en;q=0.5, zh-TW;q=0.7":            "zh-Hans",
		"en ; q=0.5 , zh ; Q = 0.7":        "zh-Hans",
		"zh;q=0":                           "en",
		"zh;q=0,en;q=0.1":                  "en",
		"zh;q=2,en;q=0.1":                  "en",
		"zh;q=NaN,en;q=0.1":                "en",
		"zh;q=,en;q=0.1":                   "en",
		"zhx":                              "en",
		"en,zh":                            "en",
		"zh,en":                            "zh-Hans",
		";;,,;q=;zh":                       "en",
		"zh;level=1;q=0.2,en;level=1;q=.1": "zh-Hans",
	} {
		assert.Equal(t, want, preferred(header).tag, "%q", header)
	}
}
