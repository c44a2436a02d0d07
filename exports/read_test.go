package exports

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/shopspring/decimal"

	"github.com/calends/calends/pipeline/invoice"
	"github.com/calends/calends/pricing"
)

func collect(seq iter.Seq2[*invoice.Line, error]) ([]*invoice.Line, error) {
	var lines []*invoice.Line
	for l, err := range seq {
		if err != nil {
			return lines, err
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func TestLinesAreReadBack(t *testing.T) {
	t.Parallel()
	want := company()
	want[0].InvoiceNumber = "C202610-000001"
	got, err := collect(ReadLines(iotest.OneByteReader(bytes.NewReader(writeCSV(t, want)))))
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if diff := differentColumns(got[i], want[i]); len(diff) > 0 {
			t.Errorf("line %d differs in %s", i+1, diff)
		}
	}
	if got[0].Account != got[2].Account || got[0].Item != got[2].Item || got[2].Account == got[3].Account {
		t.Error("lines do not share what they have in common")
	}
}

// differentColumns names the columns in which two lines differ.
func differentColumns(a, b *invoice.Line) (names []string) {
	for _, c := range columns {
		same := false
		switch {
		case c.text != nil:
			same = *c.text(a) == *c.text(b)
		case c.date != nil:
			same = *c.date(a) == *c.date(b)
		case c.amount != nil:
			same = *c.amount(a) == *c.amount(b)
		default:
			same = c.number(a).Equal(*c.number(b))
		}
		if !same {
			names = append(names, c.name)
		}
	}
	return names
}

func TestReadingIsStrict(t *testing.T) {
	t.Parallel()
	good := string(writeCSV(t, company()))
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the file", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "line 1: file is empty"},
		{"byte-order mark", "\ufeff" + good, "line 1: header"},
		{"column renamed", replace("MpnId", "MPNID"), "line 1: header"},
		{"LF line ends", strings.ReplaceAll(good, "\r\n", "\n"), "line 1: row does not end with CRLF"},
		{"cut inside a row", good[:len(good)-50], "line 6: file ends inside a row"},
		{"cut inside quotes", good[:strings.LastIndexByte(good, '"')], "line 6: file ends inside a row"},
		{"last line end missing", good[:len(good)-2], "line 6: file ends inside a row"},
		{"field missing", replace(",Goodwill,", ","), "line 5: row has 45 fields, want 46"},
		{"field too many", replace(",Goodwill,", ",Goodwill,,"), "line 5: row has 47 fields"},
		{"quoted without need", replace("Goodwill", `"Goodwill"`), "line 5, column CreditReasonCode: field is quoted without need"},
		{"bare quote", replace("Goodwill", `Good"wi"ll`), "line 5, column CreditReasonCode: quote or line end"},
		{"bare CR", replace("Goodwill", "Good\rwill"), "line 5, column CreditReasonCode: quote or line end"},
		{"text behind a quote", replace(`Köln",`, `Köln" ,`), "line 2, column CustomerName: text after the closing quote"},
		{"not UTF-8", replace("Goodwill", "Good\xffwill"), "line 5: text is not UTF-8"},
		{"grouped amount", replace("-123.87", "-0123.87"), "line 3, column Subtotal: amount"},
		{"negative zero", replace(",0.00,", ",-0.00,"), "line 6, column TaxTotal: amount"},
		{"digits of another currency", replace("285.60,EUR", "285.60,JPY"), "line 2, column Subtotal: amount"},
		{"unknown currency", replace("285.60,EUR", "285.60,EURO"), "line 2, column Currency"},
		{"trailing zero", replace(",9.6,25", ",9.60,25"), "line 2, column UnitPrice: number"},
		{"exponent", replace(",9.6,25", ",96e-1,25"), "line 2, column UnitPrice: number"},
		{"rate 0", replace("EUR,1,2026-10-01", "EUR,0,2026-10-01"), "line 2, column PCToBCExchangeRate"},
		{"date of no calendar", replace("2026-10-20", "2026-10-32"), "line 3, column OrderDate: date"},
		{"date with time", replace("2026-10-20", "2026-10-20T00:00:00Z"), "line 3, column OrderDate: date"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := collect(ReadLines(strings.NewReader(c.file)))
			if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, ErrSyntax) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	_, err := collect(ReadLines(iotest.ErrReader(errBroken)))
	if !errors.Is(err, errBroken) || errors.Is(err, ErrSyntax) {
		t.Errorf("error of the reader below came as %v", err)
	}
}

func TestReadLinesStops(t *testing.T) {
	t.Parallel()
	n := 0
	for _, err := range ReadLines(bytes.NewReader(writeCSV(t, company()))) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d lines", n)
	}
}

// Whatever is read is written again as it stood, byte for byte.
func FuzzReadLinesWriteCSV(f *testing.F) {
	f.Add(writeCSV(f, company()))
	f.Add(writeCSV(f, nil))
	f.Add(writeCSV(f, many(3, "KWD")))
	f.Add(writeCSV(f, many(3, "JPY")))
	f.Fuzz(func(t *testing.T, file []byte) {
		lines, err := collect(ReadLines(bytes.NewReader(file)))
		if err != nil {
			t.Skip()
		}
		if again := writeCSV(t, lines); !bytes.Equal(again, file) {
			t.Errorf("read %q, wrote %q", file, again)
		}
	})
}

// Whatever is written is read back as it was.
func FuzzWriteCSVReadLines(f *testing.F) {
	for _, s := range nasty {
		f.Add(s, "x"+s, int64(-4950), int64(12), int32(-3), int32(20000))
	}
	f.Fuzz(func(t *testing.T, a, b string, amount, value int64, exponent, days int32) {
		l := *company()[0]
		account, item := *l.Account, *l.Item
		account.CustomerName, item.PromotionID, l.ReferenceID = a, b, a
		l.Account, l.Item = &account, &item
		l.Subtotal, l.Total, l.ExchangeRate = amount, value, decimal.New(value, exponent%20)
		l.TermEnd = pricing.Date(days)
		if err := NewCSV(io.Discard).Encode(&l); err != nil {
			t.Skip(err)
		}
		lines, err := collect(ReadLines(bytes.NewReader(writeCSV(t, []*invoice.Line{&l}))))
		if err != nil {
			t.Fatal(err)
		}
		if diff := differentColumns(lines[0], &l); len(diff) > 0 {
			t.Errorf("differs in %s", diff)
		}
	})
}

// troubles are exceptions in no order.
func troubles() []invoice.Exception {
	trouble := func(severity invoice.Severity, code pricing.Code, customer, subscription, event, message string) invoice.Exception {
		return invoice.Exception{
			Severity: severity, Code: code, PartnerID: "11111111-1111-4111-8111-111111111111", CustomerID: customer,
			SubscriptionID: subscription, EventID: event, Message: message, Month: october,
		}
	}
	return []invoice.Exception{
		trouble(invoice.Warning, pricing.PriceListStale, "", "", "", "market DE has no sheet for 2026-10, 2026-09 governs"),
		trouble(invoice.Error, pricing.SeatWindowClosed, "c2", "s9", "e7", `5 seats asked, 2 open; "window" closed 2026-10-08`),
		trouble(invoice.Error, pricing.InvalidChange, "c1", "s1", "e2", "=quantity 0\nis under 1"),
		trouble(invoice.Error, pricing.PriceNotFound, "c1", "s1", "", "CFQ7TTC0LDPB/0001 P1Y Monthly DE Commercial has no row"),
	}
}

func TestExceptionsGolden(t *testing.T) {
	t.Parallel()
	given := troubles()
	var b, reversed bytes.Buffer
	if err := WriteExceptions(&b, given); err != nil {
		t.Fatal(err)
	}
	golden(t, "exceptions.csv", b.Bytes())
	if !reflect.DeepEqual(given, troubles()) {
		t.Error("the caller's slice was sorted")
	}
	slices.Reverse(given)
	if err := WriteExceptions(&reversed, given); err != nil || !bytes.Equal(b.Bytes(), reversed.Bytes()) {
		t.Errorf("order of arrival changed the file: %v", err)
	}
	back, err := ReadExceptions(&b, october)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(given, compareExceptions)
	if !reflect.DeepEqual(back, given) {
		t.Errorf("read back %v, want %v", back, given)
	}
}

func TestExceptionsRefused(t *testing.T) {
	t.Parallel()
	const header = "Severity,Code,PartnerId,CustomerId,SubscriptionId,EventId,Message\r\n"
	for _, c := range []struct{ name, file, want string }{
		{"severity", header + "fatal,X,,,,,\r\n", "line 2, column Severity"},
		{"order", header + "error,X,b,,,,\r\nerror,X,a,,,,\r\n", "line 3: row is out of order"},
		{"fields", header + "error,X,b,,,\r\n", "line 2: row has 6 fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadExceptions(strings.NewReader(c.file), october)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
	err := WriteExceptions(io.Discard, []invoice.Exception{{Message: "\xff"}})
	if err == nil || !strings.Contains(err.Error(), "column Message") {
		t.Errorf("bad text: %v", err)
	}
	if err := WriteExceptions(&brokenWriter{}, nil); !errors.Is(err, errBroken) {
		t.Errorf("broken writer: %v", err)
	}
}

func FuzzExceptionsWriteRead(f *testing.F) {
	for _, s := range nasty {
		f.Add(s, "c"+s, "m"+s)
	}
	f.Fuzz(func(t *testing.T, partner, code, message string) {
		given := []invoice.Exception{
			{Severity: invoice.Error, Code: pricing.Code(code), PartnerID: partner, Message: message, Month: october},
			{Severity: invoice.Warning, Code: pricing.Code(partner), PartnerID: message, EventID: code, Month: october},
		}
		var b bytes.Buffer
		if err := WriteExceptions(&b, given); err != nil {
			t.Skip(err)
		}
		back, err := ReadExceptions(&b, october)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(given, compareExceptions)
		if !reflect.DeepEqual(back, given) {
			t.Errorf("got %q, want %q", back, given)
		}
	})
}

func BenchmarkReadLines(b *testing.B) {
	file := writeCSV(b, many(20_000, "EUR"))
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range ReadLines(bytes.NewReader(file)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N*20_000)/b.Elapsed().Seconds(), "lines/s")
}
