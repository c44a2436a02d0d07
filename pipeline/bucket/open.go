package bucket

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options says where a bucket is and how it is spoken to. Everything but the
// address may be left out.
type Options struct {
	// Address names the bucket:
	//
	//	file:///srv/calends                 a folder, by its absolute path
	//	calends-data                        a folder, by a plain path, absolute or relative
	//	s3://books/calends?region=eu-west-1 a bucket of S3, and the beginning of all keys
	//	azblob://books/calends              a container of Azure Blob Storage, and the same
	//	mem://                              a new, empty bucket in memory
	//
	// The other options of a store may also stand in the address, as region,
	// endpoint, path_style, checksums and timeout; those in the address win.
	Address string
	// Endpoint is the address of a store other than Amazon's or Microsoft's, such as
	// https://s3.example.com, or http://127.0.0.1:10000/account for an emulator.
	Endpoint string
	// Region of a bucket of S3. Blank: that of the environment or the profile; where
	// there is an endpoint, us-east-1.
	Region string
	// PathStyle puts the name of the bucket into the path instead of the host's name.
	// nil: where there is an endpoint.
	PathStyle *bool
	// Checksums is [ChecksumsWhenSupported], or [ChecksumsWhenRequired] for stores
	// that do not know S3's newer checksums.
	Checksums string
	// Timeout is how long the store may be silent before an operation fails. It does
	// not limit how long an upload takes that moves. 0: [DefaultTimeout].
	Timeout time.Duration
	// Keys are the credentials for S3. nil: those of the environment, the profile or
	// the machine's role, which is where they belong; this is for callers that have
	// them from a safe place of their own.
	Keys *Keys
	// Now is the clock that is compared with the store's when it finds them too far
	// apart. nil: the system's.
	Now func() time.Time
}

// Keys are credentials for S3.
type Keys struct{ Access, Secret string }

// What Options.Checksums may be.
const (
	ChecksumsWhenSupported = "when_supported"
	ChecksumsWhenRequired  = "when_required"
)

func (o Options) timeout() time.Duration {
	if o.Timeout == 0 {
		return DefaultTimeout
	}
	return o.Timeout
}

func (o Options) now() func() time.Time {
	if o.Now == nil {
		return time.Now //nolint:forbidigo // told to a person when clocks differ, and nothing else
	}
	return o.Now
}

// Open returns the bucket of an address, see [Options]. Opening creates nothing, and
// asks nothing of a store: a folder comes into being with its first object or lock.
// Credentials of a store come from where its users keep them (environment, profile,
// the machine's role), never from the address.
func Open(address string) (Bucket, error) {
	return OpenWith(Options{Address: address})
}

// OpenWith is Open with options.
func OpenWith(o Options) (Bucket, error) {
	b, err := open(o)
	if err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", redacted(o.Address), err)
	}
	return b, nil
}

func open(o Options) (Bucket, error) {
	scheme, rest, isURL := strings.Cut(o.Address, "://")
	switch {
	case o.Address == "":
		return nil, errors.New("the address is empty; give a folder, file:///path, s3://bucket or azblob://container")
	case scheme == "s3" || scheme == "azblob":
		return openRemoteURL(o)
	case o.Endpoint+o.Region+o.Checksums != "" || o.PathStyle != nil || o.Timeout != 0:
		return nil, errors.New("endpoint, region, path style, checksums and timeout are options of s3:// and azblob:// only")
	case !isURL:
		return NewDisk(o.Address)
	case scheme == "file":
		return openFileURL(o.Address)
	case scheme == "mem":
		if rest != "" {
			return nil, errors.New("a bucket in memory has no name; write mem://")
		}
		return NewMemory(), nil
	}
	return nil, fmt.Errorf("unknown scheme %q; known are s3://bucket, azblob://container, file:///path, mem:// and a plain path", scheme)
}

func openFileURL(address string) (Bucket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Host != "" || u.Path == "" {
		return nil, errors.New("a file address is absolute; write file:///path, or the plain path without file://")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("a file address has no options; write ? as %3F and # as %23, or the plain path without file://")
	}
	return NewDisk(u.Path)
}

// location is where in a store a bucket is.
type location struct {
	name   string // of the bucket or container
	prefix string // empty, or ending with a slash
}

func openRemoteURL(o Options) (Bucket, error) {
	u, err := url.Parse(o.Address)
	if err != nil {
		// Without the address, which the cause repeats with all that is in it.
		return nil, errors.New("this is no address; write " + strings.ToLower(o.Address[:strings.Index(o.Address, ":")]) + "://name/prefix")
	}
	at, err := locate(u)
	if err != nil {
		return nil, err
	}
	if o, err = o.with(u.Query()); err != nil {
		return nil, err
	}
	if err := o.check(u.Scheme); err != nil {
		return nil, err
	}
	if u.Scheme == "azblob" {
		return openAzure(o, at)
	}
	return openS3(o, at)
}

func locate(u *url.URL) (location, error) {
	switch {
	case u.User != nil:
		return location{}, errors.New("credentials do not belong into an address; put them into the environment, see --help of the store's own tools")
	case u.Host == "":
		return location{}, fmt.Errorf("the name is missing; write %s://name/prefix", u.Scheme)
	case u.Port() != "":
		return location{}, fmt.Errorf("this is where the name stands, not the host; write %s://name?endpoint=http://%s", u.Scheme, u.Host)
	case u.Fragment != "":
		return location{}, errors.New("an address has no #; write it as %23")
	}
	prefix := strings.Trim(u.Path, "/")
	if prefix == "" {
		return location{name: u.Host}, nil
	}
	if err := checkKey(prefix); err != nil {
		return location{}, fmt.Errorf("the prefix after the name: %w", err)
	}
	return location{name: u.Host, prefix: prefix + "/"}, nil
}

// with puts the options of an address over o.
func (o Options) with(query url.Values) (Options, error) {
	for name, values := range query {
		value := values[len(values)-1]
		var err error
		switch name {
		case "endpoint":
			o.Endpoint = value
		case "region":
			o.Region = value
		case "checksums":
			o.Checksums = value
		case "path_style":
			var yes bool
			yes, err = strconv.ParseBool(value)
			o.PathStyle = &yes
		case "timeout":
			o.Timeout, err = time.ParseDuration(value)
		default:
			return o, fmt.Errorf("unknown option %q in the address; known are checksums, endpoint, path_style, region and timeout", name)
		}
		if err != nil {
			return o, fmt.Errorf("option %s=%s in the address: want %s", name, value, map[string]string{"path_style": "true or false", "timeout": "a time such as 30s"}[name])
		}
	}
	return o, nil
}

// check refuses what makes no sense before it gets into a request.
func (o Options) check(scheme string) error {
	if o.Endpoint != "" {
		u, err := url.Parse(o.Endpoint)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return errors.New("the endpoint is no address; write it like https://s3.example.com")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			return errors.New("the endpoint may have a host, a port and a path; credentials do not belong there")
		}
	}
	if o.Checksums != "" && !slices.Contains([]string{ChecksumsWhenSupported, ChecksumsWhenRequired}, o.Checksums) {
		return fmt.Errorf("checksums %q: want %s or %s", o.Checksums, ChecksumsWhenSupported, ChecksumsWhenRequired)
	}
	if o.Timeout < 0 || o.Timeout != 0 && o.Timeout < time.Second/10 {
		return fmt.Errorf("timeout %s: want a tenth of a second or more", o.Timeout)
	}
	if scheme == "azblob" && (o.Region != "" || o.PathStyle != nil || o.Checksums != "") {
		return errors.New("region, path style and checksums are options of s3:// only")
	}
	return nil
}

// redacted is an address without what might be secret in it.
func redacted(address string) string {
	scheme, rest, isURL := strings.Cut(address, "://")
	if !isURL || scheme == "file" {
		return address
	}
	rest, query, hasQuery := strings.Cut(rest, "?")
	name, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		name = "…@" + name[at+1:]
	}
	shown := scheme + "://" + name
	if hasPath {
		shown += "/" + path
	}
	if hasQuery && query != "" {
		shown += "?…"
	}
	return shown
}
