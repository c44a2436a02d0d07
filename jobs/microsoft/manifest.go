package microsoft

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/calends/calends/jobs/microsoft/web"
)

// manifest says where the files of an export are and what opens them.
type manifest struct {
	ID              string `json:"id"`
	CreatedDateTime string `json:"createdDateTime"`
	SchemaVersion   string `json:"schemaVersion"`
	DataFormat      string `json:"dataFormat"`
	PartitionType   string `json:"partitionType"`
	ETag            string `json:"eTag"`
	PartnerTenantID string `json:"partnerTenantId"`
	RootDirectory   string `json:"rootDirectory"`
	SASToken        string `json:"sasToken"` // opens the files to everybody: never printed
	BlobCount       *int   `json:"blobCount"`
	Blobs           []blob `json:"blobs"`
}

type blob struct {
	Name           string `json:"name"`
	PartitionValue string `json:"partitionValue"`
}

// version names the content: the same has the same, and is not fetched again.
func (m *manifest) version() string { return cmp.Or(m.ETag, m.ID) }

// folder is the name of the version's own folder. An eTag may have any characters.
func (m *manifest) folder() string {
	sum := sha256.Sum256([]byte(m.version()))
	return hex.EncodeToString(sum[:6])
}

// check refuses a manifest that contradicts itself, or whose files would not lie
// below their folder.
func (m *manifest) check() error {
	var all []error
	bad := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if m.version() == "" {
		bad("it has neither eTag nor id")
	}
	if u, err := url.Parse(m.RootDirectory); err != nil || u.Host == "" || u.RawQuery != "" {
		bad("rootDirectory %q is no address of a folder", web.Redact(m.RootDirectory))
	}
	if format := strings.ToLower(m.DataFormat); format != "" && !strings.Contains(format, "json") {
		bad("dataFormat %q: want compressed JSON lines", m.DataFormat)
	}
	if m.BlobCount != nil && *m.BlobCount != len(m.Blobs) {
		bad("blobCount says %d files, %d are listed", *m.BlobCount, len(m.Blobs))
	}
	seen := make(map[string]bool)
	for _, b := range m.Blobs {
		if err := b.check(); err != nil {
			bad("file %q: %w", b.Name, err)
		}
		if seen[strings.ToLower(b.Name)] {
			bad("file %q is listed twice", b.Name)
		}
		seen[strings.ToLower(b.Name)] = true
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("%w: the manifest: %w", web.ErrNotData, err)
	}
	return nil
}

func (b blob) check() error {
	switch {
	case b.Name == "":
		return errors.New("it has no name")
	case b.Name != path.Clean(b.Name) || !filepath.IsLocal(b.Name) || strings.ContainsAny(b.Name, `\:?#%`) || strings.ContainsFunc(b.Name, control):
		return errors.New("a name that does not stay in its folder")
	case strings.HasSuffix(b.Name, partSuffix):
		return errors.New("a name as unfinished files have here")
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f }

// address is where a file is, with what opens it.
func (m *manifest) address(b blob) string {
	parts := strings.Split(b.Name, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	address := strings.TrimRight(m.RootDirectory, "/") + "/" + strings.Join(parts, "/")
	if sas := strings.TrimPrefix(m.SASToken, "?"); sas != "" {
		address += "?" + sas
	}
	return address
}

// operation is where an export stands.
type operation struct {
	Status word `json:"status"`
	Error  struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	// ResourceLocation is the manifest, or where it is.
	ResourceLocation json.RawMessage `json:"resourceLocation"`
	NavigationLink   string          `json:"resourceLocation@odata.navigationLink"`
	NavigationOlder  string          `json:"resourceLocation@navigationLink"`
}

// manifest returns what the operation has of its manifest: the manifest itself, or
// an address.
func (o *operation) manifest() (m *manifest, link string, err error) {
	raw := strings.TrimSpace(string(o.ResourceLocation))
	switch {
	case strings.HasPrefix(raw, "{"):
		m = new(manifest)
		if err := json.Unmarshal(o.ResourceLocation, m); err != nil {
			return nil, "", fmt.Errorf("%w: the manifest: %w", web.ErrNotData, err)
		}
		return m, "", nil
	case strings.HasPrefix(raw, `"`):
		err = json.Unmarshal(o.ResourceLocation, &link)
	default:
		link = cmp.Or(o.NavigationLink, o.NavigationOlder)
	}
	if err != nil || link == "" {
		return nil, "", fmt.Errorf("%w: the operation succeeded and has no manifest", web.ErrNotData)
	}
	return nil, link, nil
}
