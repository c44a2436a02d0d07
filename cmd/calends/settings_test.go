package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// What is shown of the configuration is what the file says, in the form of JSON.
func TestSettingsAreTheConfiguration(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../calends.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config, err := parseConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := config.shown()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"totalPercent":"25"`, `"poll":"1m0s"`, `"clientSecret":{"env":"CALENDS_SIGN_IN_SECRET"`, `"listen":"0.0.0.0:8420"`, `"url":"https://billing.example.com"}]`, `"since":"2026-10"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	for _, never := range []string{"/calends\"}]", `""`, "null", "{}", "[]"} {
		if strings.Contains(string(text), never) {
			t.Errorf("%s is in %s", never, text)
		}
	}
}
