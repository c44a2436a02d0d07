package audit

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// longest is how many bytes a text of an event may have.
const longest = 1024

// secrets are texts that open something: our own tokens, signed ones, and what a link
// that is good for once ends with.
var secrets = regexp.MustCompile(`cal_[A-Za-z0-9]{8,}|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|(/local/)[^/]+`)

// mayHold reports whether a text has the beginning of one: most have none, and then
// nothing is searched.
func mayHold(text string) bool {
	return strings.Contains(text, "cal_") || strings.Contains(text, "eyJ") || strings.Contains(text, "/local/")
}

// Cleaned is a text without what opens something: what a log or a trail may have.
func Cleaned(text string) string {
	if !mayHold(text) {
		return text
	}
	return secrets.ReplaceAllString(text, "$1***")
}

// clean takes out what has no place in a trail that many may read and nobody can change.
func clean(e Event) Event {
	e.Path, _, _ = strings.Cut(e.Path, "?")
	for _, text := range []*string{&e.Who, &e.Name, &e.Action, &e.Operation, &e.Path, &e.Partner, &e.Object, &e.From, &e.Request} {
		*text = Cleaned(*text)
		if len(*text) > longest {
			end := longest
			for end > 0 && !utf8.RuneStart((*text)[end]) {
				end--
			}
			*text = (*text)[:end]
		}
	}
	return e
}
