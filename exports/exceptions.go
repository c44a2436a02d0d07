package exports

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/calends/calends/pipeline/invoice"
)

// exceptionColumns are the columns of exceptions.csv, in their order.
var exceptionColumns = [...]string{"Severity", "Code", "PartnerId", "CustomerId", "SubscriptionId", "EventId", "Message"}

// WriteExceptions writes exceptions.csv, sorted by partner, customer,
// subscription, event, code and message. The slice itself keeps its order.
func WriteExceptions(w io.Writer, exceptions []invoice.Exception) error {
	sorted := slices.SortedFunc(slices.Values(exceptions), compareExceptions)
	buf := appendHeader(nil, exceptionColumns[:])
	for i := range sorted {
		var err error
		if buf, err = appendException(buf, &sorted[i]); err != nil {
			return fmt.Errorf("write exceptions.csv row %d (%s, event %q): %w", i+1, sorted[i].Code, sorted[i].EventID, err)
		}
	}
	if _, err := w.Write(buf); err != nil {
		return fmt.Errorf("write exceptions.csv: %w", err)
	}
	return nil
}

func appendException(dst []byte, e *invoice.Exception) (_ []byte, err error) {
	fields := [len(exceptionColumns)]string{
		string(e.Severity), string(e.Code), e.PartnerID, e.CustomerID, e.SubscriptionID, e.EventID, e.Message,
	}
	for i, field := range fields {
		if dst, err = appendText(dst, field); err != nil {
			return dst, fmt.Errorf("column %s: %w", exceptionColumns[i], err)
		}
		dst = append(dst, separator)
	}
	return append(dst[:len(dst)-1], rowEnd...), nil
}

func compareExceptions(a, b invoice.Exception) int {
	return cmp.Or(
		cmp.Compare(a.PartnerID, b.PartnerID),
		cmp.Compare(a.CustomerID, b.CustomerID),
		cmp.Compare(a.SubscriptionID, b.SubscriptionID),
		cmp.Compare(a.EventID, b.EventID),
		cmp.Compare(a.Code, b.Code),
		cmp.Compare(a.Message, b.Message),
		cmp.Compare(a.Severity, b.Severity),
	)
}
