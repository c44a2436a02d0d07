package signin

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"html/template"
	"net/http"
	"strings"

	"golang.org/x/oauth2"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/jobs/serve/access/directory"
	"github.com/calends/calends/jobs/serve/audit"
)

// signIn sends a browser to the provider.
func (a *Authenticator) signIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	back := Back(r.URL.Query().Get("back"))
	if a.local != nil {
		a.s.Show(w, r, Notice{Status: http.StatusUnauthorized, Title: "Open the link", Text: "The server printed a link when it started: open it in this browser. It works once; start the server again for another."})
		return
	}
	f := flow{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Back: back, Until: a.s.Now().Add(flowsHold)}
	address, err := a.provider.start(r.Context(), f)
	if err != nil {
		a.sorry(w, r, err)
		return
	}
	name := a.cookies.flow(f.State)
	sealed, err := a.seal.close(name, f)
	if err != nil {
		a.sorry(w, r, err)
		return
	}
	a.cookies.tidy(w, r)
	a.cookies.set(w, name, sealed, flowsHold)
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// callback is where the provider sends the browser back to.
func (a *Authenticator) callback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	q := r.URL.Query()
	f, err := a.underWay(w, r, q.Get("state"))
	if err != nil {
		a.notIn(w, r, err)
		return
	}
	if problem := q.Get("error"); problem != "" {
		a.notIn(w, r, refused("the provider says %s: %s", cut(problem), cut(q.Get("error_description"))))
		return
	}
	claimed, err := a.provider.finish(r.Context(), f, q.Get("code"), q.Get("iss"))
	if err != nil {
		a.notIn(w, r, err)
		return
	}
	who, err := a.s.Directory.Principal(r.Context(), claimed)
	if err != nil {
		a.notIn(w, r, err)
		return
	}
	a.letIn(w, r, who, claimed, false, f.Back)
}

// underWay returns the sign-in that a browser comes back from, and ends it.
func (a *Authenticator) underWay(w http.ResponseWriter, r *http.Request, state string) (flow, error) {
	name := a.cookies.flow(state)
	cookie, err := r.Cookie(name)
	if err != nil {
		return flow{}, refused("this browser has no such sign-in under way: sign in again")
	}
	a.cookies.clear(w, name)
	f, err := a.seal.open(name, cookie.Value)
	if err != nil || subtle.ConstantTimeCompare([]byte(f.State), []byte(state)) != 1 {
		return flow{}, refused("this browser has no such sign-in under way: sign in again")
	}
	if !a.s.Now().Before(f.Until) {
		return flow{}, refused("the sign-in took too long: sign in again")
	}
	return f, nil
}

// letIn begins a session under a new id, once the trail has it.
func (a *Authenticator) letIn(w http.ResponseWriter, r *http.Request, who access.Principal, claimed directory.Claimed, local bool, back string) {
	if err := a.s.Trail.Note(r.Context(), a.event(r, audit.SignedIn, "sign-in", who, http.StatusOK)); err != nil {
		a.sorry(w, r, err)
		return
	}
	if before, err := r.Cookie(a.cookies.session()); err == nil {
		a.sessions.end(before.Value)
	}
	a.cookies.set(w, a.cookies.session(), a.sessions.begin(claimed, local), a.sessions.lifetime)
	http.Redirect(w, r, back, http.StatusSeeOther)
}

// signOut ends the session. The trail is told, and cannot keep anybody in.
func (a *Authenticator) signOut(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		refuse(w, http.StatusForbidden, "other-origin", "the request comes from another site's page")
		return
	}
	if cookie, err := r.Cookie(a.cookies.session()); err == nil {
		a.sessions.end(cookie.Value)
	}
	a.cookies.clear(w, a.cookies.session())
	if who, ok := access.From(r.Context()); ok {
		if err := a.s.Trail.Note(r.Context(), a.event(r, audit.Did, "sign-out", who, http.StatusOK)); err != nil {
			a.s.Log.Error("the trail could not be written", "request", audit.AskedOf(r.Context()).ID, "error", err)
		}
	}
	w.Header().Set("Clear-Site-Data", `"cache"`)
	http.Redirect(w, r, signedOut, http.StatusSeeOther)
}

func (a *Authenticator) signedOut(w http.ResponseWriter, r *http.Request) {
	n := Notice{Status: http.StatusOK, Title: "Signed out", Text: "You are signed out here. On a machine that others use, sign out of your organisation's account too."}
	if a.local == nil {
		n.Next, n.Label = signInPath, "Sign in again"
	}
	a.s.Show(w, r, n)
}

// notIn tells somebody why they are not signed in.
func (a *Authenticator) notIn(w http.ResponseWriter, r *http.Request, err error) {
	why, wrong := reason(err)
	if !wrong {
		a.sorry(w, r, err)
		return
	}
	if !a.failed(w, r, http.StatusForbidden, "sign-in", why) {
		return
	}
	a.s.Show(w, r, Notice{Status: http.StatusForbidden, Title: "Not signed in", Text: "You are not signed in: " + why + ".", Next: signInPath, Label: "Sign in again"})
}

// sorry tells somebody that it is not their doing.
func (a *Authenticator) sorry(w http.ResponseWriter, r *http.Request, err error) {
	asked := audit.AskedOf(r.Context())
	a.s.Log.Error("somebody could not sign in", "request", asked.ID, "error", err)
	text := "The server cannot sign anybody in at the moment, and its log says why. Try again in a minute."
	if errors.Is(err, errUnavailable) {
		text = "Your organisation's sign-in does not answer. Try again in a minute."
	}
	w.Header().Set("Retry-After", "30")
	a.s.Show(w, r, Notice{Status: http.StatusServiceUnavailable, Title: "Not now", Text: text, Next: signInPath, Label: "Try again"})
}

// cut shortens what somebody else says.
func cut(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + " …"
	}
	return text
}

var notice = template.Must(template.New("notice").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex"><title>{{.Title}} - Calends</title></head>
<body><main><h1>{{.Title}}</h1><p>{{.Text}}</p>{{if .Next}}<p><a href="{{.Next}}">{{.Label}}</a></p>{{end}}</main></body>
</html>
`))

// plain shows a notice without any looks.
func plain(w http.ResponseWriter, _ *http.Request, n Notice) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(n.Status)
	_ = notice.Execute(w, n) // whoever has gone does not read it
}
