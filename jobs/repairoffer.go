package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/calends/calends/jobs/intake"
	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
	"github.com/calends/calends/pricing"
)

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// offer is what --from brings, by hash.
type offer struct {
	env   Env
	files []string          // in name order
	raw   map[string]string // hash of a file as it lies there -> its path
	// unpacked are the contents that could be taken in: hash -> path.
	unpacked map[string]string
	taken    map[offerKey]*bucket.Memory
}

// offerKey is one way to take a file in.
type offerKey struct {
	path    string
	month   pricing.Month
	charges pricing.Month
}

func (e Env) readOffer(ctx context.Context, paths []string) (*offer, error) {
	o := &offer{env: e, raw: make(map[string]string), unpacked: make(map[string]string), taken: make(map[offerKey]*bucket.Memory)}
	if slices.Contains(paths, "-") {
		return nil, fmt.Errorf("repair: %w: standard input cannot be read again; give a file", ErrUsage)
	}
	files, err := IngestPlan{Paths: paths}.files()
	if err != nil {
		return nil, fmt.Errorf("repair from: %w", err)
	}
	o.files = files
	for i, path := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e.progress("repair read files", int64(i+1), int64(len(files)))
		if err := o.hash(path); err != nil {
			return nil, fmt.Errorf("repair from %s: %w", path, err)
		}
	}
	return o, nil
}

func (o *offer) hash(path string) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	o.raw[hex.EncodeToString(hash.Sum(nil))] = path
	source, err := intake.Open(path)
	if err != nil {
		return nil // nothing that could be taken in; its own bytes may still be wanted
	}
	for _, m := range source.Members {
		if sum, err := hashMember(m); err == nil {
			o.unpacked[sum] = path
		}
	}
	return source.Close()
}

// content returns the bytes with a hash, if a file is offered that has them.
func (o *offer) content(sha256 string) (data []byte, path string, err error) {
	path, ok := o.raw[sha256]
	if !ok {
		return nil, "", nil
	}
	data, err = os.ReadFile(path)
	if err == nil && hashOf(data) != sha256 {
		err = errors.New("the file changes while it is read")
	}
	return data, path, err
}

// take takes the file with the content into a bucket of its own, as it was taken
// in then. It returns nil if no such file is offered.
func (o *offer) take(ctx context.Context, sha256 string, kind ledger.Kind, month string) (taken *bucket.Memory, path string, err error) {
	path, ok := o.unpacked[sha256]
	if !ok {
		return nil, "", nil
	}
	key := offerKey{path: path}
	if month != "" {
		of, err := pricing.ParseMonth(month)
		if err != nil {
			return nil, path, err
		}
		if kind == ledger.Charges {
			key.charges = of
		} else {
			key.month = of
		}
	}
	if o.taken[key] == nil {
		scratch := o.env
		memory := bucket.NewMemory()
		scratch.Bucket = memory
		if _, err := scratch.Ingest(ctx, IngestPlan{Paths: []string{path}, Month: key.month, Charges: key.charges}); err != nil {
			return nil, path, err
		}
		if err := takenBefore(ctx, memory); err != nil {
			return nil, path, err
		}
		o.taken[key] = memory
	}
	return o.taken[key], path, nil
}

// takenBefore adds the objects that the same files gave before sheets and offer matrices
// were kept with all that they tell: a bucket of then names those.
func takenBefore(ctx context.Context, taken *bucket.Memory) error {
	l := ledger.Ledger{Bucket: taken}
	inputs, err := l.Inputs(ctx)
	if err != nil {
		return err
	}
	for _, in := range inputs {
		for _, o := range in.Objects {
			switch in.Kind {
			case ledger.Prices, ledger.Software:
				rows, err := l.PriceRows(ctx, o)
				if err != nil {
					return err
				}
				if _, err := l.PutPrices(ctx, o.Market, rows); err != nil {
					return err
				}
			case ledger.Offers:
				offers, err := l.OfferMatrix(ctx, []ledger.Input{in})
				if err != nil {
					return err
				}
				for i := range offers {
					offers[i].Needs, offers[i].Facts = nil, nil
				}
				if _, err := l.PutOffers(ctx, offers); err != nil {
					return err
				}
			default: // is kept as it was
			}
		}
	}
	return nil
}

// record returns the input that taking the file in gives.
func (o *offer) record(ctx context.Context, taken *bucket.Memory, ref ledger.InputRef) (ledger.Input, bool, error) {
	inputs, err := ledger.Ledger{Bucket: taken}.Inputs(ctx)
	for _, in := range inputs {
		if in.SHA256 == ref.SHA256 && in.Kind == ref.Kind {
			in.Number, in.Name = ref.Number, ref.Name
			return in, true, err
		}
	}
	return ledger.Input{}, false, err
}
