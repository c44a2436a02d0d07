package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// approval reads "ann 3 reason", "-ann" being a revocation; the fingerprint is f and
// the revision.
func approval(number int, words string) ledger.Approval {
	fields := strings.Fields(words)
	a := ledger.Approval{Month: "2026-10", Number: number, At: "2026-11-02T09:00:00Z", Revision: int(fields[1][0] - '0')}
	a.By, a.Revoked = strings.CutPrefix(fields[0], "-")
	a.Fingerprint = "f" + fields[1]
	if len(fields) > 2 {
		a.Accepted = fields[2]
	}
	return a
}

func TestApprovedBy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		approvals []string
		want      string // who approves revision 3
	}{
		{"nobody", nil, ""},
		{"one", []string{"ann 3"}, "ann"},
		{"two", []string{"ann 3", "bob 3"}, "ann bob"},
		{"another revision is another draft", []string{"ann 2", "bob 4"}, ""},
		{"approved again after a new draft", []string{"ann 2", "ann 3"}, "ann"},
		{"revoked", []string{"ann 3", "-ann 3"}, ""},
		{"revoked for all, by anybody", []string{"ann 3", "bob 3", "-cleo 3"}, ""},
		{"a revocation of whatever revision", []string{"ann 3", "-bob 2"}, ""},
		{"approved after a revocation", []string{"ann 3", "-ann 3", "bob 3"}, "bob"},
		{"another content under the same number", []string{"ann 3", "eve 3 other"}, "ann"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var approvals []ledger.Approval
			for i, words := range test.approvals {
				a := approval(i+1, words)
				if a.By == "eve" {
					a.Fingerprint = "g3"
				}
				approvals = append(approvals, a)
			}
			var got []string
			for _, a := range (ledger.Manifest{Revision: 3, Fingerprint: "f3"}).ApprovedBy(approvals) {
				got = append(got, a.By)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("got %v, want %s", got, test.want)
			}
		})
	}
}

func TestApprovalsComeBack(t *testing.T) {
	t.Parallel()
	s := newStore()
	october := month("2026-10")
	for i, words := range []string{"ann 3 known", "-bob 3"} {
		if err := s.PutApproval(s.ctx, october, approval(i+1, words)); err != nil {
			t.Fatal(err)
		}
	}
	s.leave(t, "approvals/month=2026-11/0001.json") // another month's
	s.leave(t, "approvals/month=2026-10/notes.txt") // nobody's
	got, err := s.Approvals(s.ctx, october)
	if err != nil {
		t.Fatal(err)
	}
	want := []ledger.Approval{approval(1, "ann 3 known"), approval(2, "-bob 3")}
	for i := range want {
		want[i].Layout = ledger.Layout
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := s.PutApproval(s.ctx, october, approval(2, "-bob 3")); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := s.PutApproval(s.ctx, october, approval(2, "cleo 3")); !errors.Is(err, bucket.ErrConflict) {
		t.Errorf("another under a taken number: %v, want a conflict", err)
	}
}

func TestApprovalsRefuses(t *testing.T) {
	t.Parallel()
	first := `{"month": "2026-10", "number": 1}`
	for _, test := range []struct{ name, key, content, want string }{
		{"another month's", "0002", `{"month": "2026-09", "number": 2}`, "read approvals/month=2026-10/0002.json: it says month 2026-09, number 2"},
		{"another number's", "0002", `{"month": "2026-10", "number": 3}`, "read approvals/month=2026-10/0002.json: it says month 2026-10, number 3"},
		{"half a record", "0002", `{"month": "2026-10",`, "read approvals/month=2026-10/0002.json: unexpected EOF"},
		{"a gap", "0003", `{"month": "2026-10", "number": 3}`, "read approvals/month=2026-10/0003.json: approval 3 where 2 should stand: one before it is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStore()
			for key, content := range map[string]string{"0001": first, test.key: test.content} {
				if err := bucket.Put(s.ctx, s.Bucket, "approvals/month=2026-10/"+key+".json", []byte(content)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Approvals(s.ctx, month("2026-10")); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
	s := newStore()
	if err := bucket.Put(s.ctx, s.Bucket, ledger.ApprovalKeyOf(month("2026-10"), 1), []byte(`{"layout": 99, "month": "2026-10", "number": 1}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Approvals(s.ctx, month("2026-10")); !errors.Is(err, ledger.ErrNewer) {
		t.Errorf("a later layout: %v", err)
	}
}
