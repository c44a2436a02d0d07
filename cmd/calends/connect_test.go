package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/calends/calends/jobs/microsoft/microsofttest"
)

// startMicrosoft stands in for Microsoft in a script. URL in the files that are named
// becomes its address.
func startMicrosoft(t *testing.T, ts *testscript.TestScript, files []string) {
	s := microsofttest.New(t)
	microsofttest.AddExports(s)
	microsofttest.AddPartners(s).Put("c1", `{"id":"s1"}`)
	s.PutSheet("DE", "current", "", "ProductId,SkuId,TermDuration,BillingPlan,Market,Currency,UnitPrice\nCFQ7TTC0LH18,0001,P1Y,Annual,DE,EUR,61.2\n")
	s.PutFX("202610", "CurrencyCode,USDPerUnit,Month\nEUR,1.0812,202610\n")
	s.PutOfferMatrix("202610", "ProductId,SkuId,MinLicenses,MaxLicenses,ProductSkuConversion\nCFQ7TTC0LH18,0001,1,300,\n")
	s.PutPromotions("DE", "commercial", `{"id":"39NFJQT1PJQB:0001:39NFJQT1Q5KN"}`)
	ts.Setenv("CSP_SECRET", microsofttest.ClientSecret)
	for _, name := range files {
		name = ts.MkAbs(name)
		data, err := os.ReadFile(name)
		ts.Check(err)
		ts.Check(os.WriteFile(name, []byte(strings.ReplaceAll(string(data), "URL", s.URL)), 0o600))
	}
}

// A browser opens what sign-in prints, and the check that it recommends is content.
func TestSignInThenCheck(t *testing.T) {
	t.Parallel()
	s := microsofttest.New(t)
	dir := t.TempDir()
	config, token, secret := filepath.Join(dir, "calends.yaml"), filepath.Join(dir, "refresh-token"), filepath.Join(dir, "secret")
	text := "microsoft:\n  tenant: " + microsofttest.Tenant + "\n  client: " + microsofttest.ClientID + "\n  secret: {file: " + secret + "}\n" +
		"  refreshToken: {file: " + token + "}\n  markets: [DE]\n  endpoints: {login: " + s.URL + ", prices: " + s.URL + ", partnerCenter: " + s.URL + ", graph: " + s.URL + "}\n"
	for name, text := range map[string]string{config: text, secret: microsofttest.ClientSecret} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(free.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said, says := io.Pipe()
	browsed := make(chan error, 1)
	go func() { browsed <- openWhatIsSaid(said, cancel) }()
	var out strings.Builder
	code := run(ctx, []string{"connect", "sign-in", "--config", config, "--port", port}, streams{nil, &out, says})
	if err := says.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-browsed; err != nil || code != exitDone || !strings.Contains(out.String(), "the refresh token is in "+token) {
		t.Fatalf("exit code %d, %q, and the browser %v", code, &out, err)
	}
	out.Reset()
	run(t.Context(), []string{"connect", "check", "--config", config, "--output", "csv"}, streams{nil, &out, io.Discard})
	if !strings.Contains(out.String(), "sign in with user,ok,") {
		t.Errorf("the check says %s", &out)
	}
}

var anAddress = regexp.MustCompile(`^http://\S+$`)

// openWhatIsSaid is a browser: it opens the first address that it reads.
func openWhatIsSaid(r io.Reader, giveUp func()) error {
	lines := bufio.NewScanner(r)
	opened := false
	for lines.Scan() {
		if opened || !anAddress.MatchString(lines.Text()) {
			continue
		}
		opened = true
		res, err := http.Get(lines.Text())
		if err != nil {
			giveUp()
			return err
		}
		if err := res.Body.Close(); err != nil {
			return err
		}
	}
	return lines.Err()
}
