// Package picture draws a subscription's story as SVG: its terms and charge cycles, its
// seats over time in the layers that can be taken back together, and every change, the
// refused ones too.
//
// The same story gives the same bytes. The picture stands alone: no script, nothing from
// elsewhere, and every text is escaped by encoding/xml. What a colour says, a shape or a
// pattern says too. It is light where its style sheet is not allowed, and dark where the
// reader wants that and [Policy] holds.
package picture

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/calends/calends/jobs"
)

// MediaType is what a picture is served as.
const MediaType = "image/svg+xml"

// Policy is a content security policy under which a picture has its style and nothing else.
func Policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Draw writes the picture of a story.
func Draw(w io.Writer, s jobs.Story) error {
	p, err := planOf(s)
	if err == nil {
		err = p.draw(w)
	}
	if err != nil {
		return fmt.Errorf("picture of subscription %q: %w", s.SubscriptionID, err)
	}
	return nil
}

// style is without quotation marks and angles, so that it is the same escaped or not.
// Whatever it says of light is in the attributes as well.
const style = `
@media screen and (prefers-color-scheme: dark) {
.paper { fill: #15181d }
.ink { fill: #eceff3 }
.faint { fill: #a9b2bd }
.grid { stroke: #3b424c }
.line { stroke: #6cc0f5 }
.area { fill: #6cc0f5 }
.band { fill: #232931; stroke: #76818e }
.band2 { fill: #2f3742; stroke: #76818e }
.cycle { stroke: #a9b2bd }
.mark { fill: #15181d; stroke: #eceff3 }
.solid { fill: #eceff3; stroke: #eceff3 }
.no { stroke: #ff9a62; fill: #15181d }
.nosolid { fill: #ff9a62 }
.now { stroke: #eceff3 }
}
`
