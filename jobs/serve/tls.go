package serve

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is read from its files again when they have changed, so that a renewed one
// needs no restart.
type certificate struct {
	files TLS
	now   func() time.Time
	log   func(error)

	mu      sync.Mutex
	current *tls.Certificate
	changed [2]time.Time // of the files that current was read from
	looked  time.Time
}

// lookEvery is how often the files are looked at.
const lookEvery = time.Minute

// newCertificate reads the files, or says why they are no certificate.
func newCertificate(files TLS, now func() time.Time, log func(error)) (*certificate, error) {
	c := &certificate{files: files, now: now, log: log, looked: now()}
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *certificate) read() error {
	var changed [2]time.Time
	for i, name := range []string{c.files.Certificate, c.files.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		changed[i] = info.ModTime()
	}
	if changed == c.changed {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return fmt.Errorf("tls: read %s and %s: %w", c.files.Certificate, c.files.Key, err)
	}
	c.current, c.changed = &pair, changed
	return nil
}

// get is asked for each connection. While new files are half there, the old ones hold.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= lookEvery {
		c.looked = now
		if err := c.read(); err != nil {
			c.log(err)
		}
	}
	return c.current, nil
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}
