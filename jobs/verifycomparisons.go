package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/calends/calends/pipeline/bucket"
	"github.com/calends/calends/pipeline/ledger"
)

// comparisonKeys are the files that reconciliations have written.
var comparisonKeys = regexp.MustCompile(`^` + reconcileFolder + `month=[0-9]{4}-(0[1-9]|1[0-2])/revision=[0-9]{4,}/.`)

// comparisons notes what the manifests of reconciliations name.
func (v *verification) comparisons(ctx context.Context) error {
	for _, key := range v.keys {
		if !comparisonKeys.MatchString(key) || !isComparisonManifest(key) {
			continue
		}
		v.named[key] = nil
		data, err := bucket.ReadAll(ctx, v.env.Bucket, key)
		if errors.Is(err, context.Canceled) {
			return err
		}
		var m ReconcileManifest
		if err == nil {
			err = json.Unmarshal(data, &m)
		}
		if err != nil {
			v.notes.add(UnreadableObject, key, "content", "", fmt.Sprintf("read %s: %v", key, err))
			v.notes[len(v.notes)-1].Advice = comparisonAdvice
			continue
		}
		for _, f := range m.Files {
			v.claim(claim{key: strings.TrimSuffix(key, ledger.ManifestName) + f.Path, size: f.Size, sha256: f.SHA256})
		}
	}
	return ctx.Err()
}

// comparisonAdvice: nothing is computed from a comparison, so it can be made anew.
const comparisonAdvice = "move the manifest.json of this comparison away, then run calends reconcile again with the same files"

func isComparisonManifest(key string) bool {
	return strings.HasPrefix(key, reconcileFolder) && strings.Count(key, "/") == 3 && strings.HasSuffix(key, "/"+ledger.ManifestName)
}
