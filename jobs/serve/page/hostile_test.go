package page_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pricing"
)

// Names come from outside. Whatever they hold is text on every page, and none reaches
// what stands beside it.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	names := []string{
		`<script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`'"--></title></textarea><svg onload=alert(1)>`,
		`{{template "layout" .}} & <b>B.V.</b>`,
		"\u202egnp.exe \u2066 \u0661\u0662 \u05d0\u05d1",
	}
	h := newHouse(t)
	var file strings.Builder
	file.WriteString("CustomerId,CustomerName,CustomerDomainName,CustomerCountry,Segment,PartnerId,ResellerMpnId\n")
	customers := secretsOf(t, ours)
	var ids []string
	for i, id := range slices.DeleteFunc(customers[2:], func(s string) bool { return len(s) != 36 || s == ourSubscription }) {
		name := names[i%len(names)]
		fmt.Fprintf(&file, "%s,%s,%s,NL,Commercial,%s,\n", id, quoted(name), quoted(name), ours)
		ids = append(ids, id)
	}
	if len(ids) < len(names) {
		t.Fatalf("%d customers for %d names", len(ids), len(names))
	}
	h.takeIn("customers.csv", file.String())
	if _, err := h.env.Bill(t.Context(), pricing.MonthOf(2024, 4), false); err != nil {
		t.Fatal(err)
	}
	who := as(access.GlobalAdmin)
	who.Name = names[0]
	addresses := append(whole(), "/customers?q=%3Cscript%3Ealert(1)", "/invoices/2024-04/"+ours, "/invoices/2024-04/"+ours+"/lines", "/invoices/2024-04/"+ours+"/lines/1",
		"/invoices/2024-04/"+ours+"/lines?customer=%22%3E%3Cscript%3E", "/invoices/2024-04/"+ours+"/lines?q=%22%3E%3Cimg&type=%3Cscript%3E&subscription=%22onload%3D")
	for _, id := range ids {
		addresses = append(addresses, "/customers/"+id)
	}
	found := make(map[string]bool)
	for _, address := range addresses {
		s := h.ask(&who, http.MethodGet, address, nil)
		for _, fault := range faults(s) {
			t.Errorf("%s: %s", address, fault)
		}
		if n := len(all(s.doc, "svg")) + len(all(s.doc, "b")); n > 0 {
			t.Errorf("%s: a name made an element", address)
		}
		for _, name := range names {
			found[name] = found[name] || strings.Contains(s.text(), strings.Join(strings.Fields(name), " "))
		}
		// Text that runs from right to left stays where it belongs.
		for _, bdi := range all(s.doc, "bdi") {
			if strings.Contains(textOf(bdi), "\u202e") {
				found["apart"] = true
			}
		}
	}
	for _, name := range append(names, "apart") {
		if !found[name] {
			t.Errorf("no page shows %q: nothing was tried", name)
		}
	}
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
