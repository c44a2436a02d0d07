package signin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
)

// loopback lets MSAL, which knows https alone, talk to a plain server on this
// machine, such as one for tests. Such a server need not describe itself either.
type loopback struct {
	carrier   http.RoundTripper
	host      string
	authority string
}

// RoundTrip sends what is meant for that server without encryption.
func (l loopback) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != l.host {
		return l.carrier.RoundTrip(req)
	}
	plain := req.Clone(req.Context())
	plain.URL.Scheme = "http"
	res, err := l.carrier.RoundTrip(plain)
	if err != nil || !strings.HasSuffix(req.URL.Path, "/.well-known/openid-configuration") {
		return res, err
	}
	return l.describe(res)
}

// describe is the server's description of itself, completed: an issuer that MSAL
// takes for this authority, and the paths that Microsoft's service has.
func (l loopback) describe(res *http.Response) (*http.Response, error) {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	said := make(map[string]any)
	if res.StatusCode != http.StatusOK || json.Unmarshal(body, &said) != nil {
		said = make(map[string]any)
	}
	said["issuer"] = l.authority + "/v2.0"
	for name, path := range map[string]string{"authorization_endpoint": "/oauth2/v2.0/authorize", "token_endpoint": "/oauth2/v2.0/token"} {
		if text, ok := said[name].(string); !ok || text == "" {
			said[name] = l.authority + path
		}
	}
	if body, err = json.Marshal(said); err != nil {
		return nil, err
	}
	res.StatusCode, res.Status = http.StatusOK, "200 OK"
	res.Header.Set("Content-Type", "application/json")
	res.Header.Del("Content-Encoding")
	res.ContentLength, res.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	return res, nil
}
