package cases

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every file parses, writes inputs that are well-formed, and asks for months
// that its changes reach.
func TestAllCases(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 40 {
		t.Fatalf("%d cases: some are not embedded", len(all))
	}
	for _, c := range all {
		t.Run(c.ID, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := c.WriteFiles(dir); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"partners.csv", "customers.csv", "prices-" + c.customer.market + "-" + c.months[0] + ".csv"} {
				content, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll(); err != nil || len(rows) < 2 {
					t.Errorf("%s: %d rows, %v", name, len(rows), err)
				}
			}
			content, err := os.ReadFile(filepath.Join(dir, "changes.jsonl"))
			if err != nil {
				t.Fatal(err)
			}
			before := ""
			for line := range bytes.Lines(content) {
				var e struct{ ID, Time string }
				if err := json.Unmarshal(line, &e); err != nil {
					t.Fatal(err)
				}
				if e.Time < before {
					t.Errorf("change %s is not in the order of time", e.ID)
				}
				before = e.Time
			}
			if !slices.IsSorted(c.months) {
				t.Errorf("months %v are not in order", c.months)
			}
			if c.Status != "ours" && c.Source == "" {
				t.Error("no source")
			}
			if d := c.Diff(c.Want); d != nil {
				t.Errorf("the wanted lines are not in the order of the book: %v", d)
			}
			for _, row := range c.Want {
				for _, name := range []string{"ChargeStartDate", "ChargeEndDate", "OrderDate", "SubscriptionStartDate", "SubscriptionEndDate"} {
					if _, err := time.Parse(time.DateOnly, row[name]); row[name] != "" && err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// README.md lists all published cases, and says of each what its file says.
func TestReadmeListsAllCases(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	status := map[string]string{}
	for _, c := range all {
		status[c.ID] = c.Status
	}
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "## All published cases")
	listed := 0
	for line := range strings.Lines(list) {
		cells := strings.Split(line, " | ")
		id, ok := strings.CutPrefix(cells[0], "| ")
		if !ok || id == "id" {
			continue
		}
		listed++
		switch want, file := strings.TrimSpace(cells[1]), status[id]; {
		case want == "not ours" && file != "":
			t.Errorf("%s is not ours, but has a file", id)
		case want != "not ours" && file != want:
			t.Errorf("%s: README says %q, the file %q", id, want, file)
		}
	}
	if listed != 54 {
		t.Errorf("%d published cases are listed, want 54", listed)
	}
}

const small = `# small  A small case
# status: ours
partner EUR
product A P1/0001 "Product A"
price A P1M Monthly EUR 10
2024-01-05 09:00  buy S1 A P1M Monthly 2
bill 2024-01
lines
sub type qty amount
S1 new 2 20.00
`

func TestParse(t *testing.T) {
	text := strings.Replace(small, "bill 2024-01\n", `2024-01-06 10:30  upgrade S1 to A seats 1 into S2 term P1Y Annual override "a reason"
2024-01-07 10:30  schedule S1 term P1Y Monthly seats 4
2024-01-08 10:30  credit EUR 12.50 "bad weather" of S1
bill 2023-11 to 2024-02 2024-05
`, 1) + "exceptions\nINVALID_CHANGE S1\n"
	c, err := Parse("small.txt", text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(c.Months(), " "), "2023-11 2023-12 2024-01 2024-02 2024-05"; got != want {
		t.Errorf("Months() = %s, want %s", got, want)
	}
	content, err := c.jsonLines()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"data":{"billingCycle":"Monthly","customerId":"customer","productId":"P1","quantity":2,"skuId":"0001","termDuration":"P1M"},"id":"small-01","source":"cases","specversion":"1.0","subject":"S1","time":"2024-01-05T09:00:00Z","type":"subscription.purchased"}
{"data":{"billingCycle":"Annual","customerId":"customer","quantity":1,"termDuration":"P1Y","toProductId":"P1","toSkuId":"0001","toSubscriptionId":"S2"},"id":"small-02","override":"a reason","source":"cases","specversion":"1.0","subject":"S1","time":"2024-01-06T10:30:00Z","type":"subscription.upgraded"}
{"data":{"customerId":"customer","scheduledNextTermInstructions":{"product":{"billingCycle":"Monthly","termDuration":"P1Y"},"quantity":4}},"id":"small-03","source":"cases","specversion":"1.0","subject":"S1","time":"2024-01-07T10:30:00Z","type":"subscription.nextTermScheduled"}
{"data":{"amount":12.50,"currency":"EUR","customerId":"customer","reason":"bad weather","subscriptionId":"S1"},"id":"small-04","source":"cases","specversion":"1.0","subject":"customer","time":"2024-01-08T10:30:00Z","type":"customer.credited"}
`
	if string(content) != want {
		t.Errorf("changes.jsonl:\n%swant\n%s", content, want)
	}
	if d := c.DiffExceptions([]map[string]string{{"Severity": "error", "Code": "INVALID_CHANGE", "SubscriptionId": "S1"}}); d != nil {
		t.Error(d)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, from, to, want string }{
		{"an unknown statement", "bill 2024-01", "invoice 2024-01", "line 7: unknown word"},
		{"an unknown change", "buy S1", "rent S1", `line 6: unknown change "rent"`},
		{"a product that is not declared", "S1 A P1M", "S1 B P1M", `line 6: product "B" is not declared`},
		{"a quantity that is no number", "Monthly 2", "Monthly two", "line 6: strconv.ParseInt"},
		{"words too many", "Monthly 2", "Monthly 2 please", `line 6: what is "please"?`},
		{"a quote that does not end", `"Product A"`, `"Product A`, "line 4: the quote does not end"},
		{"a price that is no number", "EUR 10", "EUR 1,5", `line 5: price "1,5" is no number`},
		{"an unknown policy", "bill", "policy mood good\nbill", `line 7: policy "mood"`},
		{"an unknown column", "sub type", "sub kind", `line 9: column "kind"`},
		{"a row of another width", "S1 new 2", "S1 new", "line 10: 3 values for 4 columns"},
		{"an unknown status", "status: ours", "status: maybe", `line 2: status "maybe"`},
		{"a time that is none", "09:00", "9 am", "line 6: after the day comes the time"},
		{"a month that is none", "bill 2024-01", "bill 2024-13", "line 7: parsing time"},

		{"no partner", "partner EUR", "", "no partner"},
		{"no month", "bill 2024-01", "", "no month to bill"},
		{"no lines", "S1 new 2 20.00", "", "no lines wanted"},
		{"no status", "# status: ours", "", "no \"# status"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(small, test.from, test.to, 1)
			if text == small {
				t.Fatal("nothing replaced")
			}
			_, err := Parse("small.txt", text)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "small.txt") {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestDiff(t *testing.T) {
	c, err := Parse("small.txt", small+"S2 new 2 30.00\n")
	if err != nil {
		t.Fatal(err)
	}
	row := func(sub, kind, qty, amount string) Row {
		return Row{"SubscriptionId": sub, "ChargeType": kind, "Quantity": qty, "Subtotal": amount, "Currency": "EUR"}
	}
	tests := []struct {
		name string
		rows []Row
		want string
	}{
		{"equal, other columns do not count", []Row{row("S1", "new", "2", "20.00"), row("S2", "new", "2", "30.00")}, ""},
		{"months in turn may mix subscriptions", []Row{row("S2", "new", "2", "30.00"), row("S1", "new", "2", "20.00")}, ""},
		{"a cent", []Row{row("S1", "new", "2", "20.01"), row("S2", "new", "2", "30.00")},
			"missing:    ChargeType=new Quantity=2 SubscriptionId=S1 Subtotal=20.00|unexpected: ChargeType=new Quantity=2 SubscriptionId=S1 Subtotal=20.01"},
		{"a line twice", []Row{row("S1", "new", "2", "20.00"), row("S1", "new", "2", "20.00"), row("S2", "new", "2", "30.00")},
			"unexpected: ChargeType=new Quantity=2 SubscriptionId=S1 Subtotal=20.00"},
		{"nothing at all", nil,
			"missing:    ChargeType=new Quantity=2 SubscriptionId=S1 Subtotal=20.00|missing:    ChargeType=new Quantity=2 SubscriptionId=S2 Subtotal=30.00"},
	}
	for _, test := range tests {
		if got := strings.Join(c.Diff(test.rows), "|"); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
	if got := c.DiffExceptions([]Row{{"Code": "INVALID_CHANGE", "SubscriptionId": "S9"}}); len(got) != 1 {
		t.Errorf("an exception that nobody wants: %v", got)
	}
}

// Of one subscription, the pair's minus line comes first: order counts.
func TestDiffSeesOrder(t *testing.T) {
	c, err := Parse("small.txt", small+"S1 addQuantity 2 -20.00\nS1 addQuantity 3 30.00\n")
	if err != nil {
		t.Fatal(err)
	}
	rows := slices.Clone(c.Want)
	rows[1], rows[2] = rows[2], rows[1]
	if got := c.Diff(rows); len(got) == 0 || !strings.Contains(got[0], "order") {
		t.Errorf("Diff = %v, want the order", got)
	}
}
