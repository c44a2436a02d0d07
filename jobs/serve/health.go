package serve

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Check is something that the server needs to be ready.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// checksWithin is how long all checks may take.
const checksWithin = 5 * time.Second

// checked is the answer of /healthz and /readyz. Why something is wrong stands in the
// log: whoever asks here may be anybody.
type checked struct {
	OK     bool          `json:"ok"`
	Checks []checkedItem `json:"checks"`
}

type checkedItem struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
}

// readiness answers whether the server can do its work. Checks run once a second at
// most, however many ask.
type readiness struct {
	world  World
	checks []Check

	mu     sync.Mutex
	at     time.Time
	answer checked
}

// ServeHTTP answers 200, or 503 when a check fails.
func (h *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Nobody's going away ends a check that others wait for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), checksWithin)
	defer cancel()
	answerHealth(w, h.check(ctx))
}

func (h *readiness) check(ctx context.Context) checked {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := h.world.Now(); h.at.IsZero() || now.Sub(h.at) >= time.Second {
		h.answer = checked{OK: true, Checks: []checkedItem{}}
		for _, c := range h.checks {
			err := c.Run(ctx)
			if err != nil {
				h.world.Log.Warn("the server is not ready", "check", c.Name, "error", err)
			}
			h.answer.OK = h.answer.OK && err == nil
			h.answer.Checks = append(h.answer.Checks, checkedItem{c.Name, err == nil})
		}
		h.at = h.world.Now()
	}
	return h.answer
}

// alive answers that the process answers.
func alive(w http.ResponseWriter, _ *http.Request) {
	answerHealth(w, checked{OK: true, Checks: []checkedItem{}})
}

func answerHealth(w http.ResponseWriter, a checked) {
	w.Header().Set("Content-Type", "application/json")
	if !a.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(a) // whoever has gone does not read it
}
