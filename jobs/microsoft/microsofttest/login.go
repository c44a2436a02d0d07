package microsofttest

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Who signs in, unless a test changes it.
const (
	Tenant       = "11111111-2222-4333-8444-555555555555"
	ClientID     = "66666666-7777-4888-9999-000000000000"
	ClientSecret = "client~secret~value"
	RefreshToken = "0.refresh-token-one"
)

// login is the sign-in service.
type login struct {
	refresh     map[string]bool   // those that hold
	codes       map[string]string // of the browser, with their challenges
	tokens      map[string]access
	certificate *x509.Certificate
	refusal     *Refusal
	bare        bool
	once        bool
}

type access struct {
	user  bool
	scope string
	until time.Time
}

// Refusal is an answer of the sign-in service that says no.
type Refusal struct {
	Status      int
	Code        string // OAuth's, such as invalid_grant
	Description string // with AADSTS code
}

func (s *Server) newLogin() {
	s.login = login{refresh: map[string]bool{RefreshToken: true}, codes: make(map[string]string), tokens: make(map[string]access)}
	s.mux.HandleFunc("GET /{tenant}/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		bare := s.login.bare
		s.mu.Unlock()
		if bare {
			http.NotFound(w, r)
			return
		}
		here := "https://" + r.Host + "/" + r.PathValue("tenant")
		signInJSON(w, http.StatusOK, map[string]any{
			"issuer":                 "https://login.microsoftonline.com/" + r.PathValue("tenant") + "/v2.0",
			"authorization_endpoint": here + "/oauth2/v2.0/authorize",
			"token_endpoint":         here + "/oauth2/v2.0/token",
		})
	})
	s.mux.HandleFunc("GET /{tenant}/oauth2/v2.0/authorize", s.authorize)
	s.mux.HandleFunc("POST /{tenant}/oauth2/v2.0/token", s.token)
}

// RefuseSignIns lets all sign-ins fail, or none if it is nil.
func (s *Server) RefuseSignIns(r *Refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.refusal = r
}

// Bare lets the sign-in service answer token requests and nothing else.
func (s *Server) Bare() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.bare = true
}

// RefreshOnce lets a refresh token hold for one use, which Microsoft does not do.
func (s *Server) RefreshOnce() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.once = true
}

// Trust is the certificate that stands for the application's secret.
func (s *Server) Trust(c *x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.certificate = c
}

// ExpireTokens ends all access tokens at once.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.login.tokens)
}

// RevokeRefreshTokens ends all refresh tokens.
func (s *Server) RevokeRefreshTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.login.refresh)
}

// allows returns the status and the reason of a refusal, or 0.
func (s *Server) allows(who Who, r *http.Request) (int, string) {
	if who == Anyone {
		if r.Header.Get("Authorization") != "" {
			return http.StatusBadRequest, "an address that authorises comes with a token: somebody gives tokens away"
		}
		return 0, ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.login.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	switch {
	case !ok || time.Now().After(t.until):
		return http.StatusUnauthorized, "The token has expired."
	case who == User && !t.user:
		return http.StatusForbidden, "App-only tokens are not supported."
	}
	return 0, ""
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := r.ParseForm(); err != nil {
		signInError(w, http.StatusBadRequest, "invalid_request", "AADSTS900144: The body cannot be read.")
		return
	}
	form := r.PostForm
	switch no := s.login.refusal; {
	case no != nil:
		signInError(w, no.Status, no.Code, no.Description)
		return
	case r.PathValue("tenant") != Tenant:
		signInError(w, http.StatusBadRequest, "invalid_request", "AADSTS90002: Tenant '"+r.PathValue("tenant")+"' not found.")
		return
	case form.Get("client_id") != ClientID:
		signInError(w, http.StatusBadRequest, "unauthorized_client", "AADSTS700016: Application with identifier '"+form.Get("client_id")+"' was not found in the directory.")
		return
	case s.login.certificate != nil && !signedBy(form.Get("client_assertion"), s.login.certificate):
		signInError(w, http.StatusUnauthorized, "invalid_client", "AADSTS700027: The certificate is not registered.")
		return
	case s.login.certificate == nil && form.Get("client_secret") != ClientSecret:
		// Microsoft does not repeat it; a worse server would.
		signInError(w, http.StatusUnauthorized, "invalid_client", "AADSTS7000215: Invalid client secret provided: '"+form.Get("client_secret")+"'.")
		return
	}
	s.n++
	answer := map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "scope": form.Get("scope")}
	issued := access{scope: form.Get("scope"), until: time.Now().Add(time.Hour)}
	switch form.Get("grant_type") {
	case "client_credentials":
		answer["access_token"] = fmt.Sprintf("app-access-token-%d", s.n)
	case "authorization_code":
		challenge := sha256.Sum256([]byte(form.Get("code_verifier")))
		if want, ok := s.login.codes[form.Get("code")]; !ok || want != base64.RawURLEncoding.EncodeToString(challenge[:])+" "+form.Get("redirect_uri") {
			signInError(w, http.StatusBadRequest, "invalid_grant", "AADSTS54005: The code was redeemed already, or by another: "+form.Get("code"))
			return
		}
		delete(s.login.codes, form.Get("code"))
		answer["access_token"], answer["refresh_token"] = fmt.Sprintf("user-access-token-%d", s.n), fmt.Sprintf("0.refresh-token-of-browser-%d", s.n)
		s.login.refresh[answer["refresh_token"].(string)] = true
		issued.user = true
	case "refresh_token":
		old := form.Get("refresh_token")
		if !s.login.refresh[old] {
			signInError(w, http.StatusBadRequest, "invalid_grant", "AADSTS700082: The refresh token has expired due to inactivity: "+old)
			return
		}
		if s.login.once {
			delete(s.login.refresh, old)
		}
		renewed := fmt.Sprintf("0.refresh-token-renewed-%d", s.n)
		s.login.refresh[renewed] = true
		issued.user = true
		answer["access_token"], answer["refresh_token"] = fmt.Sprintf("user-access-token-%d", s.n), renewed
		answer["client_info"] = base64.RawURLEncoding.EncodeToString([]byte(`{"uid":"user","utid":"` + Tenant + `"}`))
	default:
		signInError(w, http.StatusBadRequest, "unsupported_grant_type", "AADSTS70003: Unsupported grant type.")
		return
	}
	s.login.tokens[answer["access_token"].(string)] = issued
	signInJSON(w, http.StatusOK, answer)
}

// authorize sends the browser back at once, as if a person had signed in.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	back := url.Values{"state": {q.Get("state")}}
	if no := s.login.refusal; no != nil {
		back.Set("error", no.Code)
		back.Set("error_description", no.Description)
	} else {
		s.n++
		code := fmt.Sprintf("code-of-browser-%d", s.n)
		s.login.codes[code] = q.Get("code_challenge") + " " + q.Get("redirect_uri")
		back.Set("code", code)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"/?"+back.Encode(), http.StatusFound)
}

func signInError(w http.ResponseWriter, status int, code, description string) {
	signInJSON(w, status, map[string]any{
		"error":             code,
		"error_description": description + "\r\nTrace ID: trace-of-the-fake\r\nCorrelation ID: correlation-of-the-fake\r\nTimestamp: 2026-10-01 04:00:00Z",
		"correlation_id":    "correlation-of-the-fake",
	})
}

// signInJSON has no byte-order mark, unlike Partner Center's.
func signInJSON(w http.ResponseWriter, status int, v map[string]any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // made of texts and numbers
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(data)
}

// signedBy reports whether an assertion was signed with the certificate's key.
func signedBy(assertion string, c *x509.Certificate) bool {
	parts := strings.Split(assertion, ".")
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok || len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, nil) == nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
}

// AddRefreshToken is a new sign-in of the user.
func (s *Server) AddRefreshToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.login.refresh[token] = true
}
