package bucket

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Open returns the bucket that an address names:
//
//	file:///srv/calends    a folder, by its absolute path
//	calends-data           a folder, by a plain path, absolute or relative
//	mem://                 a new, empty bucket in memory
//
// Opening creates nothing; a folder comes into being with its first object or lock.
func Open(address string) (Bucket, error) {
	b, err := open(address)
	if err != nil {
		return nil, fmt.Errorf("open bucket %q: %w", address, err)
	}
	return b, nil
}

func open(address string) (Bucket, error) {
	scheme, rest, isURL := strings.Cut(address, "://")
	switch {
	case address == "":
		return nil, errors.New("the address is empty; give a folder or file:///path")
	case !isURL:
		return NewDisk(address)
	case scheme == "file":
		return openFileURL(address)
	case scheme == "mem":
		if rest != "" {
			return nil, errors.New("a bucket in memory has no name; write mem://")
		}
		return NewMemory(), nil
	}
	return nil, fmt.Errorf("unknown scheme %q; known are file:///path, mem:// and a plain path", scheme)
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
