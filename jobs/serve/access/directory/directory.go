// Package directory keeps users and the tokens of programs in the bucket:
//
//	users/<id>/0001.json     who it is, with which roles, of which partners
//	tokens/<id>/0001.json    the same of a program, and the hash of its token
//
// A record never changes; a later number supersedes the ones before. What a user's
// record says counts instead of what the provider of the sign-in says.
package directory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/calends/calends/jobs/serve/access"
	"github.com/calends/calends/pipeline/bucket"
)

// Layout is how records are written.
const Layout = 1

// User is a record of somebody.
type User struct {
	Layout int    `json:"layout"`
	ID     string `json:"id"`
	Number int    `json:"number"`
	Name   string `json:"name"`
	Rights
	Disabled bool   `json:"disabled,omitempty"`
	By       string `json:"by"` // who wrote the record
	At       string `json:"at"` // RFC 3339, UTC
}

// Rights are what somebody has.
type Rights struct {
	Roles    []access.Role `json:"roles"`
	Partners []string      `json:"partners"`
	Everyone bool          `json:"everyone,omitempty"`
}

func (r Rights) equal(other Rights) bool {
	return slices.Equal(r.Roles, other.Roles) && slices.Equal(r.Partners, other.Partners) && r.Everyone == other.Everyone
}

// Claimed is somebody as the provider of the sign-in tells.
type Claimed struct {
	ID   string // never changes
	Name string
	// Email is verified; "" where it is not, or does not count.
	Email string
	Rights
}

// EmailID is the id of the user of a verified e-mail address.
func EmailID(address string) string { return "email:" + strings.ToLower(address) }

// What goes wrong, for errors.Is.
var (
	// ErrDisabled is a user that may not sign in.
	ErrDisabled = errors.New("the user is disabled")
	// ErrToken is a token that opens nothing, with the reason in the error.
	ErrToken = errors.New("the token is not valid")
	// ErrChanged is a record that somebody else has written meanwhile.
	ErrChanged = errors.New("it was changed meanwhile; read it again")
	// ErrID is an id that no user can have.
	ErrID = errors.New("the id cannot be a user's")
)

const (
	usersPrefix  = "users/"
	tokensPrefix = "tokens/"
	// often is how long what was read counts as new, and most how long it counts at all
	// while it is, or cannot be, read again.
	often = 2 * time.Second
	most  = 5 * time.Second
	// patience is how long one reading may take: everybody waits for it.
	patience = 10 * time.Second
)

// Directory is the users and tokens of a bucket. It may be used concurrently, and by
// many servers on one bucket: what one writes the others know a few seconds later.
type Directory struct {
	bucket bucket.Bucket
	now    func() time.Time

	newest atomic.Pointer[state]
	mu     sync.Mutex // of whoever reads anew
}

// state is what the bucket had. It never changes.
type state struct {
	at     time.Time
	users  map[string]record[User]
	tokens map[string]record[Token]
}

// record is the newest of a number. One that cannot be read keeps its owner out, and
// nobody else.
type record[T any] struct {
	number int
	value  T
	err    error
}

// New returns the directory of a bucket.
func New(b bucket.Bucket, now func() time.Time) *Directory { return &Directory{bucket: b, now: now} }

// state returns what the bucket has, or had a few seconds ago.
func (d *Directory) state(ctx context.Context) (*state, error) {
	old := d.newest.Load()
	age := most
	if old != nil {
		age = d.now().Sub(old.at)
	}
	if age < often && age >= 0 {
		return old, nil
	}
	if age < most && age >= 0 {
		if !d.mu.TryLock() {
			return old, nil // somebody is reading
		}
	} else {
		d.mu.Lock()
	}
	defer d.mu.Unlock()
	if newer := d.newest.Load(); newer != old {
		return newer, nil
	}
	s, err := d.read(ctx, old)
	if err != nil {
		if age < most && age >= 0 {
			return old, nil
		}
		return nil, err
	}
	return s, nil
}

// renew reads what the bucket has now.
func (d *Directory) renew(ctx context.Context) (*state, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.read(ctx, d.newest.Load())
}

func (d *Directory) read(ctx context.Context, old *state) (*state, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if old == nil {
		old = new(state)
	}
	s := &state{at: d.now()}
	var err error
	if s.users, err = newest(ctx, d.bucket, usersPrefix, old.users, checkUser); err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	if s.tokens, err = newest(ctx, d.bucket, tokensPrefix, old.tokens, checkToken); err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	d.newest.Store(s)
	return s, nil
}

var names = regexp.MustCompile(`^[0-9]{4,}\.json$`)

func keyOf(prefix, id string, number int) string {
	return fmt.Sprintf("%s%s/%04d.json", prefix, bucket.Segment(id), number)
}

func parseKey(prefix, key string) (id string, number int, ok bool) {
	segment, name, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
	if !names.MatchString(name) {
		return "", 0, false
	}
	id, err := bucket.ParseSegment(segment)
	if err != nil {
		return "", 0, false
	}
	number, err = strconv.Atoi(strings.TrimSuffix(name, ".json"))
	return id, number, err == nil && number > 0
}

// newest reads the record of the highest number of each id, but for those that are
// known already. What is known stays: records are never taken away, and a listing may
// be behind what this server has written itself.
func newest[T any](ctx context.Context, b bucket.Bucket, prefix string, known map[string]record[T], check func(id string, number int, value T) error) (map[string]record[T], error) {
	all := make(map[string]record[T], len(known))
	maps.Copy(all, known)
	later := make(map[string]int)
	for info, err := range b.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		id, number, ok := parseKey(prefix, info.Key)
		if k := all[id]; ok && (number > k.number || number == k.number && k.err != nil) {
			later[id] = max(later[id], number)
		}
	}
	for id, number := range later {
		key := keyOf(prefix, id, number)
		data, err := bucket.ReadAll(ctx, b, key)
		if err != nil {
			return nil, err
		}
		r := record[T]{number: number}
		if err = json.Unmarshal(data, &r.value); err == nil {
			err = check(id, number, r.value)
		}
		if err != nil {
			r.err = fmt.Errorf("read %s: %w", key, err)
		}
		all[id] = r
	}
	return all, nil
}

func checkUser(id string, number int, u User) error {
	if u.Layout > Layout {
		return fmt.Errorf("layout %d, and this program knows %d: use a newer one", u.Layout, Layout)
	}
	if u.ID != id || u.Number != number {
		return fmt.Errorf("it says %s, number %d", u.ID, u.Number)
	}
	return nil
}

// Users returns all users whose records can be read, by id.
func (d *Directory) Users(ctx context.Context) ([]User, error) {
	s, err := d.state(ctx)
	if err != nil {
		return nil, err
	}
	return values(s.users), nil
}

func values[T any](records map[string]record[T]) []T {
	all := []T{}
	for _, id := range slices.Sorted(maps.Keys(records)) {
		if r := records[id]; r.err == nil {
			all = append(all, r.value)
		}
	}
	return all
}

// User returns the record of a user, false if there is none.
func (d *Directory) User(ctx context.Context, id string) (User, bool, error) {
	s, err := d.state(ctx)
	if err != nil {
		return User{}, false, err
	}
	r, ok := s.users[id]
	return r.value, ok, r.err
}

// CheckID refuses what no user can have as an id.
func CheckID(id string) error {
	switch {
	case id == "" || strings.TrimSpace(id) != id || strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: it is blank, or has blank space around it", ErrID)
	case len(bucket.Segment(id)) > 255:
		return fmt.Errorf("%w: it is too long", ErrID)
	case id == access.LocalID || strings.HasPrefix(id, access.TokenIDs):
		return fmt.Errorf("%w: it is kept for programs and for this machine", ErrID)
	case strings.HasPrefix(id, "email:") && id != strings.ToLower(id):
		return fmt.Errorf("%w: an e-mail address is written in small letters", ErrID)
	}
	return nil
}

// PutUser writes the next record of a user, unless the newest says the same, and
// returns what stands then. Errors: ErrID, ErrChanged.
func (d *Directory) PutUser(ctx context.Context, u User) (User, error) {
	if err := CheckID(u.ID); err != nil {
		return User{}, err
	}
	s, err := d.renew(ctx)
	if err != nil {
		return User{}, err
	}
	old, ok := s.users[u.ID]
	u.normalise()
	if o := old.value; ok && old.err == nil && o.Name == u.Name && o.Disabled == u.Disabled && o.Rights.equal(u.Rights) {
		return o, nil
	}
	u.Layout, u.Number = Layout, old.number+1
	if err := put(ctx, d.bucket, keyOf(usersPrefix, u.ID, u.Number), u); err != nil {
		return User{}, fmt.Errorf("write user %s: %w", u.ID, err)
	}
	d.change(func(s *state) {
		s.users = maps.Clone(s.users)
		s.users[u.ID] = record[User]{number: u.Number, value: u}
	})
	return u, nil
}

func (r *Rights) normalise() {
	r.Roles, r.Partners = sorted(r.Roles), sorted(r.Partners)
}

func sorted[T cmp.Ordered](values []T) []T {
	s := append([]T{}, values...)
	slices.Sort(s)
	return slices.Compact(s)
}

// change lets the next who asks see what was just written.
func (d *Directory) change(do func(s *state)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := *d.newest.Load()
	do(&s)
	d.newest.Store(&s)
}

// put writes a record that must not be there yet.
func put(ctx context.Context, b bucket.Bucket, key string, value any) error {
	var data bytes.Buffer
	e := json.NewEncoder(&data)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		return err
	}
	err := bucket.Put(ctx, b, key, data.Bytes())
	if errors.Is(err, bucket.ErrExists) {
		return ErrChanged
	}
	return err
}

// Principal returns who somebody is that the provider of the sign-in tells of: what the
// record of the id says, else that of the e-mail address, else what is claimed.
// Errors: ErrDisabled.
func (d *Directory) Principal(ctx context.Context, c Claimed) (access.Principal, error) {
	s, err := d.state(ctx)
	if err != nil {
		return access.Principal{}, err
	}
	r, ok := s.users[c.ID]
	if !ok && c.Email != "" {
		r, ok = s.users[EmailID(c.Email)]
	}
	if !ok {
		return principal(c.ID, c.Name, c.Rights), nil
	}
	if r.err != nil {
		return access.Principal{}, r.err
	}
	if r.value.Disabled {
		return access.Principal{}, fmt.Errorf("%w: ask a global admin", ErrDisabled)
	}
	return principal(c.ID, cmp.Or(r.value.Name, c.Name), r.value.Rights), nil
}

func principal(id, name string, r Rights) access.Principal {
	return access.Principal{ID: id, Name: name, Roles: r.Roles, Partners: r.Partners, Everyone: r.Everyone}
}
