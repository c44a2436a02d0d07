package signin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// loopback lets MSAL, which knows https alone, talk to a plain server on this
// machine, such as one for tests. Such a server need not describe itself, and what
// it says about the user, in which nobody is interested, need not be signed.
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
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasSuffix(req.URL.Path, "/.well-known/openid-configuration"):
		return change(res, l.describe)
	case req.Method == http.MethodPost && res.StatusCode == http.StatusOK:
		return change(res, plainToken)
	}
	return res, nil
}

// describe completes the server's description of itself: an issuer that MSAL takes
// for this authority, and the paths that Microsoft's service has.
func (l loopback) describe(res *http.Response, said map[string]any) map[string]any {
	if res.StatusCode != http.StatusOK || said == nil {
		said = make(map[string]any)
	}
	res.StatusCode, res.Status = http.StatusOK, "200 OK"
	said["issuer"] = l.authority + "/v2.0"
	for name, path := range map[string]string{"authorization_endpoint": "/oauth2/v2.0/authorize", "token_endpoint": "/oauth2/v2.0/token"} {
		if text, ok := said[name].(string); !ok || text == "" {
			said[name] = l.authority + path
		}
	}
	return said
}

// plainToken leaves of an answer what a token needs.
func plainToken(_ *http.Response, said map[string]any) map[string]any {
	delete(said, "id_token")
	delete(said, "client_info")
	return said
}

// change rewrites an answer in JSON. One that is none stays as it is, unless the
// change makes one of it.
func change(res *http.Response, by func(*http.Response, map[string]any) map[string]any) (*http.Response, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	var said map[string]any
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	d.UseNumber()
	if d.Decode(&said) != nil {
		said = nil
	}
	if said = by(res, said); said != nil {
		if body, err = json.Marshal(said); err != nil {
			return nil, err
		}
		res.Header.Set("Content-Type", "application/json")
	}
	res.Header.Del("Content-Length")
	res.ContentLength, res.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	return res, nil
}
