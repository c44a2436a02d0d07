package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

const twoPartners = "PartnerId,PartnerName,Country,BillingCurrency,MpnId,TaxRate\np1,Contoso,NL,EUR,1,0.21\np2,Fabrikam,US,USD,2,\n"

// sourceOf is a source of the text.
func sourceOf(name, text string) Source {
	return Source{Name: name, Open: func(context.Context) (*intake.Input, error) {
		return intake.OpenReader(name, strings.NewReader(text))
	}}
}

// told are the statuses of a result.
func told(r IngestResult) (all []string) {
	for _, f := range r.Files {
		all = append(all, f.Name+" "+f.Status)
	}
	return all
}

func TestIngestSources(t *testing.T) {
	t.Parallel()
	env := envOn(bucket.NewMemory())
	var order []string
	note := func(s Source) Source {
		s.Before = func(ctx context.Context, _ *intake.Input, files []FileResult) error {
			inputs, err := env.ledger().Inputs(ctx)
			order = append(order, fmt.Sprintf("%s is %s, the ledger has %d", s.Name, files[0].Status, len(inputs)))
			return err
		}
		s.After = func(ctx context.Context) error {
			inputs, err := env.ledger().Inputs(ctx)
			order = append(order, fmt.Sprintf("%s is done, the ledger has %d", s.Name, len(inputs)))
			return err
		}
		return s
	}
	left := Source{Name: "left", Open: func(context.Context) (*intake.Input, error) { return nil, fmt.Errorf("still grows: %w", ErrLeave) }}
	path := filepath.Join(t.TempDir(), "partners.csv")
	if err := os.WriteFile(path, []byte(twoPartners), 0o600); err != nil {
		t.Fatal(err)
	}
	result, err := env.Ingest(t.Context(), IngestPlan{Folder: filepath.Dir(path), Paths: []string{"partners.csv"}, Sources: []Source{
		note(sourceOf("again", twoPartners)), left, note(sourceOf("junk", "hello\n")), note(sourceOf("other", twoPartners+"p3,Tailspin,DE,EUR,3,\n"))}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"partners.csv taken", "again had", "junk refused", "other taken"}; !slices.Equal(told(result), want) {
		t.Errorf("got %q", told(result))
	}
	if want := []string{"again is had, the ledger has 1", "again is done, the ledger has 1", "junk is refused, the ledger has 1",
		"junk is done, the ledger has 1", "other is taken, the ledger has 1", "other is done, the ledger has 2"}; !slices.Equal(order, want) {
		t.Errorf("got %q", order)
	}
}

func TestIngestStopsAtASource(t *testing.T) {
	t.Parallel()
	wrong := errors.New("no space")
	before := sourceOf("second", "PartnerId,BillingCurrency\n")
	before.Before = func(context.Context, *intake.Input, []FileResult) error { return wrong }
	for name, second := range map[string]Source{
		"that cannot be opened": {Name: "second", Open: func(context.Context) (*intake.Input, error) { return nil, wrong }},
		"that cannot be kept":   before,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := envOn(bucket.NewMemory())
			_, err := env.Ingest(t.Context(), IngestPlan{Sources: []Source{sourceOf("first", twoPartners), second, sourceOf("third", twoPartners)}})
			if !errors.Is(err, wrong) || !strings.Contains(err.Error(), "ingest second") {
				t.Errorf("got %v", err)
			}
			if inputs, err := env.ledger().Inputs(t.Context()); err != nil || len(inputs) != 1 {
				t.Errorf("%d inputs, %v", len(inputs), err)
			}
		})
	}
}

// What comes again later in the same run holds after it as before: nothing is taken
// twice, wherever the files lie.
func TestSourcesComeAgain(t *testing.T) {
	t.Parallel()
	env := envOn(bucket.NewMemory())
	plan := IngestPlan{Sources: []Source{sourceOf("a", twoPartners), sourceOf("b", strings.ReplaceAll(twoPartners, "Contoso", "Contoso B.V."))}}
	for _, want := range [][]string{{"a taken", "b taken"}, {"a had", "b had"}} {
		result, err := env.Ingest(t.Context(), plan)
		if err != nil || !slices.Equal(told(result), want) {
			t.Errorf("got %q, %v", told(result), err)
		}
	}
	result, err := env.Ingest(t.Context(), IngestPlan{Sources: plan.Sources[:1]})
	if err != nil || !slices.Equal(told(result), []string{"a taken"}) {
		t.Errorf("a alone: %q, %v", told(result), err)
	}
}

// panicking panics behind the first 64 KiB.
type panicking struct{ *strings.Reader }

func (p panicking) ReadAt(b []byte, off int64) (int, error) {
	if off >= 64<<10 {
		panic("no such place")
	}
	return p.Reader.ReadAt(b, off)
}

func TestIngestSurvivesAReaderThatPanics(t *testing.T) {
	t.Parallel()
	for kind, text := range map[string]string{
		"partners": twoPartners + strings.Repeat("p3,Tailspin,DE,EUR,3,\n", 20_000),
		"changes":  strings.Repeat(changeLine(1)+"\n", 2000),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			bad := Source{Name: "bad", Open: func(context.Context) (*intake.Input, error) {
				return intake.OpenContent("bad", panicking{strings.NewReader(text)}, int64(len(text)))
			}}
			result, err := envOn(bucket.NewMemory()).Ingest(t.Context(), IngestPlan{Sources: []Source{bad, sourceOf("good", twoPartners)}})
			if err != nil || !slices.Equal(told(result), []string{"bad refused", "good taken"}) || !strings.Contains(result.Files[0].Reason, "no such place") {
				t.Errorf("%+v, %v", result, err)
			}
		})
	}
}

// priceSheet is a sheet with so many rows a market.
func priceSheet(rows map[string]int) string {
	text := "ProductTitle,ProductId,SkuId,SkuTitle,Publisher,SkuDescription,UnitOfMeasure,TermDuration,BillingPlan,Market,Currency,UnitPrice," +
		"PricingTierRangeMin,PricingTierRangeMax,EffectiveStartDate,EffectiveEndDate,Tags,ERP Price,Segment\n"
	for _, market := range []string{"DE", "NL"} {
		for i := range rows[market] {
			text += fmt.Sprintf("Product,P%05d,0001,Product,Microsoft,,,P1Y,Monthly,%s,EUR,57.12,,,11/1/2023 12:00:00 AM,11/30/9999 11:59:59 PM,,67.20,Commercial\n", i, market)
		}
	}
	return text
}

func TestSheetsThatLostRowsAreHeld(t *testing.T) {
	t.Parallel()
	type rows = map[string]int
	const de, nl = "DE", "NL"
	for _, tt := range []struct {
		name   string
		before map[string]rows // by month
		sheet  rows            // of 2026-10
		bound  int
		want   string // the reason; "" is taken
	}{
		{"as many rows", map[string]rows{"2026-09": {de: 10}}, rows{de: 10}, 50, ""},
		{"half of them is no more than half", map[string]rows{"2026-09": {de: 10}}, rows{de: 5}, 50, ""},
		{"more than half is lost", map[string]rows{"2026-09": {de: 10}}, rows{de: 4}, 50, "2026-10 has 4 rows of DE, the sheet of 2026-09 (input 1) has 10: more than 50% are gone"},
		{"another bound", map[string]rows{"2026-09": {de: 10}}, rows{de: 8}, 10, "2026-10 has 8 rows of DE, the sheet of 2026-09 (input 1) has 10: more than 10% are gone"},
		{"no bound", map[string]rows{"2026-09": {de: 10}}, rows{de: 1}, 0, ""},
		{"the first sheet of a market", map[string]rows{"2026-09": {nl: 10}}, rows{de: 1}, 50, ""},
		{"the last month counts, not the largest", map[string]rows{"2026-07": {de: 100}, "2026-08": {de: 6}}, rows{de: 4}, 50, ""},
		{"a later month does not", map[string]rows{"2026-11": {de: 100}}, rows{de: 4}, 50, ""},
		{"an earlier sheet of its month does", map[string]rows{"2026-09": {de: 4}, "2026-10": {de: 12}}, rows{de: 4}, 50,
			"2026-10 has 4 rows of DE, the sheet of 2026-10 (input 2) has 12: more than 50% are gone"},
		{"one market of two", map[string]rows{"2026-09": {de: 10, nl: 10}}, rows{de: 10, nl: 1}, 50,
			"2026-10 has 1 row of NL, the sheet of 2026-09 (input 1) has 10: more than 50% are gone"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := envOn(bucket.NewMemory())
			taken := 0
			for _, month := range []string{"2026-07", "2026-08", "2026-09", "2026-10", "2026-11"} {
				if rows := tt.before[month]; rows != nil {
					taken++
					if _, err := env.Ingest(t.Context(), IngestPlan{Sources: []Source{sourceOf(month+"/sheet.csv", priceSheet(rows))}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			plan := IngestPlan{LostRows: tt.bound, Sources: []Source{{Name: "sheet.csv", Month: pricing.MonthOf(2026, 10), Open: sourceOf("sheet.csv", priceSheet(tt.sheet)).Open}}}
			result, err := env.Ingest(t.Context(), plan)
			if err != nil {
				t.Fatal(err)
			}
			f := result.Files[0]
			inputs, err := env.ledger().Inputs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if f.Status != StatusTaken || len(inputs) != taken+1 || result.Held != 0 {
					t.Errorf("got %+v", f)
				}
				return
			}
			if f.Status != StatusHeld || f.Reason != tt.want || len(inputs) != taken || result.Held != 1 {
				t.Errorf("got %s %q, want %q", f.Status, f.Reason, tt.want)
			}
			// Whoever accepts it says why, and the ledger keeps that.
			plan.Accept = "Microsoft ended them"
			if result, err = env.Ingest(t.Context(), plan); err != nil || result.Files[0].Status != StatusTaken || result.Files[0].Accepted != plan.Accept {
				t.Errorf("accepted: %+v, %v", result, err)
			}
			if inputs, err = env.ledger().Inputs(t.Context()); err != nil || inputs[taken].Accepted != plan.Accept || inputs[taken].Kind != ledger.Prices {
				t.Errorf("%+v, %v", inputs, err)
			}
		})
	}
}

func TestBilledMonth(t *testing.T) {
	t.Parallel()
	const header = "PartnerId,CustomerId,InvoiceNumber,OrderDate,ProductId,SkuId,ChargeType,UnitPrice,Quantity,Subtotal,TaxTotal,Total,Currency,SubscriptionId,ChargeStartDate,ChargeEndDate\n"
	line := func(invoice, order, start string) string {
		return "p1,c1," + invoice + "," + order + ",P,0001,cycleFee,1.00,1,1.00,0.00,1.00,EUR,s1," + start + ",2026-11-30\n"
	}
	for _, tt := range []struct {
		name string
		text string
		want pricing.Month
	}{
		{"the month of its lines", header + line("G1", "2026-10-05", "2026-10-05"), pricing.MonthOf(2026, 10)},
		{"that of most", header + line("G1", "2026-09-30", "") + line("G1", "2026-10-05", "") + line("G1", "2026-10-06", ""), pricing.MonthOf(2026, 10)},
		{"without an order date the charge's", header + line("G1", "", "2026-10-05"), pricing.MonthOf(2026, 10)},
		{"two invoices of a month", header + line("G1", "2026-10-05", "") + line("G2", "2026-10-06", ""), pricing.MonthOf(2026, 10)},
		{"of two months none can be told", header + line("G1", "2026-10-05", "") + line("G2", "2026-11-06", ""), 0},
		{"no line", header, 0},
		{"a line that cannot be read does not count", header + line("G1", "soon", ""), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in, err := intake.OpenContent("recon.csv", strings.NewReader(tt.text), int64(len(tt.text)))
			if err != nil {
				t.Fatal(err)
			}
			got, err := BilledMonth(in.Members[0], in.Members[0].Recognise())
			if got != tt.want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// Jobs under one lock: nobody comes in between, and none waits for itself.
func TestTogether(t *testing.T) {
	t.Parallel()
	env := envOn(bucket.NewMemory())
	err := env.Together(t.Context(), "both", func(ctx context.Context, e Env) error {
		if _, err := env.Ingest(ctx, IngestPlan{Sources: []Source{sourceOf("a", twoPartners)}}); !errors.Is(err, bucket.ErrLocked) {
			t.Errorf("another run: %v", err)
		}
		result, err := e.Ingest(ctx, IngestPlan{Sources: []Source{sourceOf("a", twoPartners)}})
		if want := []string{"a taken"}; !slices.Equal(told(result), want) {
			t.Errorf("got %q", told(result))
		}
		return errors.Join(err, e.MayWrite(ctx))
	})
	if err != nil {
		t.Error(err)
	}
	if env.MayWrite(t.Context()) == nil {
		t.Error("without the lock nothing may be written")
	}
}

// What jobs keep for themselves is nobody's leftover.
func TestVerifyLeavesTheInboxAlone(t *testing.T) {
	t.Parallel()
	env := envOn(bucket.NewMemory())
	if _, err := env.Ingest(t.Context(), IngestPlan{Sources: []Source{sourceOf("a", twoPartners)}}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"inbox/x.csv", "inbox/done/2026-10-05/x.csv", "runs/month=2026-10/job=bill/x.json", "microsoft/reconciliation/2026-10/x.csv"} {
		if err := bucket.Put(t.Context(), env.Bucket, key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	v, err := env.Verify(t.Context(), VerifyPlan{})
	if err != nil || len(v.Findings)+len(v.Notices)+len(v.Leftovers) != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	g, err := env.GC(t.Context(), GCPlan{OlderThan: MinimumAge})
	if err != nil || len(g.Removed)+g.Undated+g.Young != 0 {
		t.Errorf("%+v, %v", g, err)
	}
}
